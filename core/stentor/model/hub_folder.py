"""A folder in the Hub's layout, read without running anything that lies in it."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.errors import StentorError
from stentor.interfaces.weights import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

SAFE, TORCH = "model.safetensors", "pytorch_model.bin"
_PICKLES = (".pkl", ".pickle", ".dill", ".joblib")
# The implementations may name a kernel on the Hub, which transformers would fetch and import.
_ASKS_FOR_CODE = ("auto_map", "trust_remote_code", "custom_pipelines", "attn_implementation", "experts_implementation",
                  "use_kernels", "kernel_config", "custom_generate")  # fmt: skip


class HubFolder(Checkpoint):
    """``config.json`` with ``model.safetensors``, or else ``pytorch_model.bin`` of tensors only; may be sharded.

    Args:
        folder: the directory.
        label: how to describe it, e.g. ``folder ./tiny``.

    Raises:
        StentorError: when the folder holds pickles, or a configuration that asks for code.
    """

    def __init__(self, folder: Path, label: str) -> None:
        self._folder, self._label = folder, label
        for path in sorted(folder.iterdir()):
            if path.suffix in _PICKLES:
                raise StentorError(f"'{path.name}' is a pickle, which can run code; only safetensors are read.",
                                   path=str(folder))  # fmt: skip
            if path.name.endswith("config.json"):
                self.json(path.name)

    def describe(self) -> str:
        return self._label

    def sha256(self) -> str:
        """Of the weight file, or for shards of their hashes in order of name."""
        digests = [_digest(path) for path in self._shards]
        return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

    def json(self, name: str) -> dict[str, Any]:
        path = self._folder / name
        if not path.is_file():
            return {}
        try:
            read = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as cause:
            raise StentorError(f"is not valid JSON ({cause}).", path=str(path)) from cause
        if not isinstance(read, dict):
            raise StentorError("must hold a JSON object.", path=str(path))
        for key in _code_keys(read):
            raise StentorError(f"asks to run code that comes with the weights or from the Hub ('{key}'); this is never "
                               "done.", path=str(path), suggestion=None)  # fmt: skip
        return read

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for path in self._shards:
            try:
                found.update(_safe_tensors(path, prefix) if path.suffix == ".safetensors" else _torch(path, prefix))
            except pickle.UnpicklingError as cause:
                raise StentorError("holds more than tensors and could run code; it is refused. Give the weights as "
                                   "safetensors.", path=str(path)) from cause  # fmt: skip
            except Exception as cause:  # each reader has its own error types for a damaged file
                raise StentorError(f"cannot be read ({cause}); the file seems damaged.", path=str(path)) from cause
        return found

    def file(self, name: str) -> Path | None:
        path = self._folder / name
        return path if path.is_file() else None

    @cached_property
    def _shards(self) -> list[Path]:
        for name in (SAFE, TORCH):
            if (self._folder / name).is_file():
                return [self._folder / name]
            index = self.json(f"{name}.index.json")
            if index:
                return sorted(set(self._named(index.get("weight_map", {}), name)))
        raise StentorError(f"has no weights: neither {SAFE} nor {TORCH}.", path=str(self._folder))

    def _named(self, shards: dict[str, str], name: str) -> Iterator[Path]:
        for shard in shards.values():
            path = self._folder / str(shard)
            if Path(str(shard)).name != shard or path.suffix != Path(name).suffix or not path.is_file():
                raise StentorError(f"names '{shard}' as a shard; a shard is a {Path(name).suffix} file beside it.",
                                   path=str(self._folder / f"{name}.index.json"))  # fmt: skip
            yield path


def asks_for_code(key: str) -> bool:
    """Whether this key of a configuration makes transformers run code; it takes some with underscores around too."""
    return key.strip("_").removesuffix("_internal") in _ASKS_FOR_CODE


def _code_keys(content: Any) -> Iterator[str]:
    """Keys at any depth that make transformers run code."""
    waiting = [content]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield from (key for key in part if asks_for_code(key) and part[key])
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _safe_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as tensors:
        names = [name for name in tensors.keys() if name.startswith(prefix)]  # noqa: SIM118 (no mapping: not iterable)
        return {name[len(prefix) :]: tensors.get_tensor(name) for name in names}


def _torch(path: Path, prefix: str) -> dict[str, Tensor]:
    import torch

    read = torch.load(path, map_location="cpu", weights_only=True)
    return {name[len(prefix) :]: tensor for name, tensor in read.items() if name.startswith(prefix)}
