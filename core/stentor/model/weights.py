"""Finds pretrained weights: a local folder, the Hub cache, the Hub, or an installed weight package."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from stentor.errors import StentorError
from stentor.interfaces.weights import Checkpoint, WeightPackage
from stentor.model.hub_folder import SAFE, TORCH, HubFolder
from stentor.plugins import registry

Place = Literal["export", "folder", "hub cache", "hub", "package"]
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_WANTED = ["*.json", "*.safetensors", "*.model", "vocab.txt", "merges.txt"]
_PROBE_SECONDS = 5.0
_BESIDE: ContextVar[Path | None] = ContextVar("beside", default=None)


@dataclass(frozen=True)
class Source:
    """Where the weights called `name` were found.

    Attributes:
        name: as asked for, e.g. ``openai/whisper-tiny.en``.
        place: which of the four places it was.
        checkpoint: reads them.
    """

    name: str
    place: Place
    checkpoint: Checkpoint

    def provenance(self) -> dict[str, str]:
        """What to record with a run: name, source and content hash; reads the weight files once."""
        return {"name": self.name, "source": self.checkpoint.describe(), "sha256": self.checkpoint.sha256()}


def resolve(name: str, *, download: bool = True) -> Source:
    """Find the weights called `name`.

    In order: inside of `beside` its folder; then a local folder, the Hub cache, the Hub (when `download` and
    ``HF_HUB_OFFLINE`` allow; what is fetched is said on stderr), an installed weight package (kind ``weights`` of the
    registry).

    Raises:
        StentorError: when they are in none of these places (all four are listed with what to install), or when what
            was found is refused.
    """
    if not name.strip():
        raise StentorError("the name of the pretrained weights is empty; give a Hub name or a folder.")
    finders: list[tuple[Place, Callable[[str], Checkpoint | str]]] = [
        ("folder", _in_folder),
        ("hub cache", _in_cache),
        ("hub", _from_hub if download else lambda _: "the Hub (a download was not asked for)"),
        ("package", _in_package),
    ]
    if _BESIDE.get() is not None:
        finders.insert(0, ("export", _in_export))
    missed = []
    for place, find in finders:
        found = find(name)
        if isinstance(found, Checkpoint):
            return Source(name, place, found)
        missed.append(found)
    packages = _packages_for(name)
    raise StentorError(
        f"pretrained weights '{name}' were not found; looked in: {'; '.join(missed)}.",
        value=name,
        suggestion=f"Install them with: {packages[0].install}" if packages else "Give a folder in the Hub's layout.",
    )


@contextmanager
def beside(folder: Path | None) -> Iterator[None]:
    """Find what an export embeds: in `folder`, each under its `embedded_name`; nothing where there is no folder."""
    token = _BESIDE.set(folder if folder is not None and folder.is_dir() else None)
    try:
        yield
    finally:
        _BESIDE.reset(token)


def embedding() -> Path | None:
    """What the export that is being loaded embeds, for those who read weights later; None outside of one."""
    return _BESIDE.get()


def embedded_folder(name: str) -> Path | None:
    """Where the export that is being loaded embeds `name`; None outside of one, or when it embeds no such thing."""
    within = _BESIDE.get()
    found = within / embedded_name(name) if within is not None else None
    return found if found is not None and found.is_dir() else None


def embedded_name(name: str) -> str:
    """The folder that holds weights `name` in an export, e.g. ``openai--whisper-tiny.en``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "--", name).strip("-.")


def config_of(name: str) -> dict[str, Any]:
    """The ``config.json`` of weights `name` without downloading; empty when they are not at hand."""
    try:
        return resolve(name, download=False).checkpoint.json("config.json")
    except StentorError:
        if Path(name).expanduser().is_dir():
            raise
        return {}


def _in_export(name: str) -> Checkpoint | str:
    folder = (_BESIDE.get() or Path()) / embedded_name(name)
    if not (folder / "config.json").is_file():
        return "the export (it embeds other weights)"
    return HubFolder(folder, f"export {folder.resolve().parent.parent}")


def _in_folder(name: str) -> Checkpoint | str:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return f"a local folder ('{folder}' is none)"
    if not (folder / "config.json").is_file():
        return f"a local folder ('{folder}' has no config.json)"
    return HubFolder(folder, f"folder {folder.resolve()}")


def _in_cache(name: str) -> Checkpoint | str:
    if not _HUB_NAME.fullmatch(name):
        return "the Hub cache (this is no Hub name such as 'owner/model')"
    if find_spec("huggingface_hub") is None:
        return "the Hub cache (huggingface_hub is not installed)"
    import huggingface_hub
    from huggingface_hub import constants

    config = huggingface_hub.try_to_load_from_cache(name, "config.json", cache_dir=constants.HF_HUB_CACHE)
    if not isinstance(config, str):
        return f"the Hub cache ({constants.HF_HUB_CACHE})"
    folder = Path(config).parent
    if not any((folder / f"{file}{suffix}").exists() for file in (SAFE, TORCH) for suffix in ("", ".index.json")):
        return f"the Hub cache ({folder} has a configuration but no weights)"
    return HubFolder(folder, f"Hub cache, {name} at {folder.name[:12]}")


def _from_hub(name: str) -> Checkpoint | str:
    if not _HUB_NAME.fullmatch(name):
        return "the Hub (this is no Hub name)"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return "the Hub (HF_HUB_OFFLINE is set)"
    if find_spec("huggingface_hub") is None:
        return "the Hub (huggingface_hub is not installed)"
    import huggingface_hub

    try:
        revision = huggingface_hub.HfApi().model_info(name, timeout=_PROBE_SECONDS).sha
        print(f"stentor: fetching {name} from the Hub", file=sys.stderr)
        folder = huggingface_hub.snapshot_download(name, revision=revision, allow_patterns=_WANTED)
    except Exception as cause:  # no network, no such model, no access: every client version has its own error types
        return f"the Hub ({type(cause).__name__}: {str(cause).splitlines()[0] if str(cause) else 'no answer'})"
    return HubFolder(Path(folder), f"Hub, {name} at {str(revision)[:12]}")


def _in_package(name: str) -> Checkpoint | str:
    packages = _packages_for(name)
    for package in packages:
        if package.installed():
            return package
    if not packages:
        return "weight packages (none is known to hold it)"
    return f"weight packages ({', '.join(package.distribution for package in packages)} is not installed)"


def _packages_for(name: str) -> list[WeightPackage]:
    known = registry()
    loaded = [entry.load() for entry in known.entries("weights")]
    return [package() for package in loaded if name in package.serves]
