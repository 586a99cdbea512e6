"""Small components and plugins without torch, for the tests of the core."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from stentor.config import ComponentOf, NameOf
from stentor.errors import Problem
from stentor.plugins import Plugins
from stentor.registry import Origin, Registry


class Small:
    """A small encoder.

    Args:
        dim: width of the frames.
        rates: one for each end,
            in Hz.
    """

    def __init__(
        self,
        in_dim: int,
        *,
        dim: int = 144,
        dropout: float = 0.1,
        frozen: bool = False,
        act: Literal["relu", "gelu"] = "relu",
        bands: list[int] = [1, 2],  # noqa: B006
        rates: tuple[int, float] = (8, 16.0),
        weights: str | None = None,
        gains: dict[str, float] = {},  # noqa: B006
    ) -> None: ...


class Large:
    """A large encoder, which needs to be told its depth."""

    def __init__(self, in_dim: int, *, layers: int, dim: int = 512) -> None: ...


class Letters:
    """A tokenizer without settings."""


class Words:
    """Another tokenizer."""

    def __init__(self, *, lowercase: bool = True) -> None: ...


class Rule:
    """A reward."""

    def __init__(self, *, weight: float = 1.0) -> None: ...


class Both:
    """A reward made of others."""

    def __init__(
        self,
        *,
        parts: list[Annotated[Mapping[str, Any], ComponentOf("reward")]],
        judge: Annotated[Mapping[str, Any] | None, ComponentOf("reward")] = None,
        fallback: Annotated[str, NameOf("reward")] = "rule",
        first: Annotated[str, ComponentOf("reward")] = "rule",
    ) -> None: ...


@dataclass(kw_only=True)
class Listed:
    """A reward that is a dataclass.

    Attributes:
        words: what is rewarded.
    """

    words: list[str] = field(default_factory=lambda: ["yes"])
    weight: float


class Endless:
    """A reward that contains itself by default."""

    def __init__(self, *, inner: Annotated[Mapping[str, Any] | str, ComponentOf("reward")] = "endless") -> None: ...


class Untyped:
    def __init__(self, *, options: dict) -> None: ...  # type: ignore[type-arg]


class Unannotated:
    def __init__(self, *, options=3) -> None: ...


class Greedy:
    def __init__(self, **anything: int) -> None: ...


class Lost:
    def __init__(self, *, size: Nowhere = 3) -> None: ...  # type: ignore[name-defined]  # noqa: F821


class Talk:
    """A task with two roles."""

    roles = {"encoder": "encoder", "text": "tokenizer"}

    def __init__(self, encoder: Any, text: Any, *, weight: float = 0.5) -> None: ...

    @classmethod
    def check(cls, sections: Mapping[str, Mapping[str, Any]], **configured: Any) -> list[Problem]:
        dim = sections["encoder"]["dim"]
        return [Problem("the encoder must be at most 1000 wide.", "encoder.dim", dim)] if dim > 1000 else []

    @classmethod
    def check_recipe(cls, config: Mapping[str, Any]) -> list[Problem]:
        return []


class Speak:
    """A task with two tokenizers."""

    roles = {"text": "tokenizer", "audio": "tokenizer", "judge": "reward"}

    def __init__(self, text: Any, audio: Any, judge: Any) -> None: ...


KINDS = ("task", "encoder", "tokenizer", "reward", "metric", "normaliser")
COMPONENTS = {
    "task": {"talk": "Talk", "speak": "Speak"},
    "encoder": {"small": "Small", "large": "Large", "untyped": "Untyped", "unannotated": "Unannotated",
                "greedy": "Greedy", "lost": "Lost", "missing": "NotThere"},
    "tokenizer": {"letters": "Letters", "words": "Words"},
    "reward": {"rule": "Rule", "both": "Both", "endless": "Endless", "listed": "Listed"},
    "metric": {"wer": "Rule"},
    "normaliser": {"english": "Rule"},
}  # fmt: skip

BASIC = """\
# A recipe for tests.
defaults:
  - task: talk
  - encoder: small
  - tokenizer@text: words
  - _self_
encoder: {dim: 256, frozen: true}
data: {train: some.jsonl.gz}
train:
  minutes: 5
seed: 3
"""


def registry() -> Registry:
    """A registry of the components above."""
    found = Registry()
    found.origin = Origin("fakes", "stentor-fakes", "1.0")
    for kind in KINDS:
        found.kind(kind, "fakes:Small", f"a {kind}")
    for kind, components in COMPONENTS.items():
        for name, cls in components.items():
            found.add(kind, name, f"fakes:{cls}")
    return found


def plugins(folder: Path, **recipes: str) -> Plugins:
    """The registry above, and recipes ``fake/NAME`` in files of `folder`; ``fake/basic`` is always there."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Plugins(registry=registry(), loaded=[Origin("fake", "stentor-fakes", "1.0")])
    for name, text in {"basic": BASIC, **recipes}.items():
        path = folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        found.recipes[f"fake/{name}"] = path
    return found


def distribution(folder: Path, name: str, hooks: str, *, entry: str = "", plugin: str = "", **files: str) -> None:
    """Write an installed distribution ``stentor-NAME`` 2.5 with one hook module into `folder`."""
    module = f"{name.replace('-', '_')}_hooks"
    (folder / f"{module}.py").write_text(hooks, encoding="utf-8")
    for file, text in files.items():
        (folder / f"{file}.py").write_text(text, encoding="utf-8")
    info = folder / f"stentor_{name.replace('-', '_')}-2.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: stentor-{name}\nVersion: 2.5\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[stentor]\n{plugin or name} = {entry or module}\n", encoding="utf-8")


def points(folder: Path) -> list[importlib.metadata.EntryPoint]:
    """The entry points of the distributions in `folder`."""
    found = importlib.metadata.distributions(path=[str(folder)])
    return [point for one in found for point in one.entry_points if point.group == "stentor"]


def stentor(*words: str, path: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m stentor`` in a process of its own, with `path` on its module path."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("STENTOR_")} | environment
    if path is not None:
        env["PYTHONPATH"] = str(path)
    command = [sys.executable, "-m", "stentor", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
