"""Which tensors a run keeps: trained ones in every checkpoint, frozen ones once, pretrained ones by source and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.interfaces.component import Component


@dataclass(frozen=True)
class Inventory:
    """Names of a model's tensors by how they are kept.

    Attributes:
        changing: trained parameters and buffers; in every checkpoint.
        fixed: frozen, and not to be had from a pretrained source; saved once.
        sourced: frozen as their pretrained source gave them; read from there again and compared by hash.
    """

    changing: tuple[str, ...]
    fixed: tuple[str, ...]
    sourced: tuple[str, ...]

    def with_sourced(self, names: Collection[str]) -> Inventory:
        """The same with only `names` left to their source: a run that began with another's weights keeps the others."""
        moved = tuple(name for name in self.sourced if name not in names)
        return Inventory(self.changing, (*self.fixed, *moved), tuple(name for name in self.sourced if name in names))


def load_pretrained(model: nn.Module) -> tuple[dict[str, dict[str, str]], set[str]]:
    """Let every component of `model` read its pretrained weights, the model itself last.

    Returns:
        Provenance by the component's name in the model, and the names of the tensors that were read.
    """
    before, provenance = digests(model), {}
    modules = dict(model.named_modules())
    for name, module in (*((name, one) for name, one in modules.items() if name), ("", model)):
        found = module.load_pretrained() if isinstance(module, Component) else {}
        if found:
            provenance[name or "task"] = dict(found)
    after = digests(model) if provenance else before
    return provenance, {name for name, digest in after.items() if before.get(name) != digest}


def take_stock(model: nn.Module, pretrained: Iterable[str]) -> Inventory:
    """Sort the tensors of `model`, whose freezing is settled; `pretrained` are those that came from a source."""
    pretrained, quiet = set(pretrained), _frozen_buffers(model)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    changing: list[str] = []
    fixed: list[str] = []
    sourced: list[str] = []
    for name in tensors(model):
        if name in trained or (name in _buffers(model) and name not in quiet):
            changing.append(name)
        else:
            (sourced if name in pretrained else fixed).append(name)
    return Inventory(tuple(changing), tuple(fixed), tuple(sourced))


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers by name; a tied tensor stands under its first name only."""
    seen: set[int] = set()
    found = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor) and id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor
    return found


def digests(model: nn.Module, names: Iterable[str] | None = None) -> dict[str, str]:
    """SHA-256 of each tensor (type, shape, bytes)."""
    found = tensors(model)
    return {name: digest(found[name]) for name in (found if names is None else names)}


def digest(tensor: Tensor) -> str:
    """SHA-256 of a tensor's type, shape and bytes."""
    made = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
    made.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return made.hexdigest()


def save(path: Path, found: Mapping[str, Tensor], names: Iterable[str]) -> None:
    """Write the tensors `names` of `found` as safetensors.

    Raises:
        OSError: when the disk refuses.
    """
    try:
        save_file({name: found[name].detach().cpu().contiguous() for name in names}, str(path))
    except SafetensorError as cause:
        raise OSError(str(cause)) from cause


def restore(model: nn.Module, path: Path, names: Iterable[str]) -> None:
    """Copy the tensors `names` from a safetensors file into `model`.

    Raises:
        StentorError: when the file cannot be read, lacks one, holds others, or a shape differs.
    """
    own, names = tensors(model), set(names)
    try:
        saved = load_file(str(path))
    except (OSError, SafetensorError) as cause:
        raise StentorError(f"it cannot be read as safetensors: {cause}", path=str(path)) from cause
    if set(saved) != names:
        odd = sorted(set(saved) ^ names)
        raise StentorError(f"its tensors are not the model's; {len(odd)} differ, e.g. '{odd[0]}'.", path=str(path))
    with torch.no_grad():
        for name, tensor in saved.items():
            if own[name].shape != tensor.shape:
                shapes = f"{tuple(tensor.shape)} in the file, {tuple(own[name].shape)} in the model"
                raise StentorError(f"the shape of '{name}' is {shapes}.", path=str(path))
            own[name].copy_(tensor)


def combined(parts: Mapping[str, str]) -> str:
    """One hash of many, in order of their names."""
    return hashlib.sha256("".join(f"{name}:{parts[name]}\n" for name in sorted(parts)).encode()).hexdigest()


def _buffers(model: nn.Module) -> set[str]:
    return {name for name, _ in model.named_buffers()}


def _frozen_buffers(model: nn.Module) -> set[str]:
    """Buffers of modules that have parameters and train none of them; they stay as they are."""
    quiet: set[str] = set()
    for prefix, module in model.named_modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            quiet |= {f"{prefix}.{name}" if prefix else name for name, _ in module.named_buffers()}
    return quiet
