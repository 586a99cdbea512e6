"""Which parameters are trained and how: freezing and optimiser groups by glob."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from stentor.errors import StentorError
from stentor.train.settings import GroupSettings, TrainSettings


def freeze(model: nn.Module, patterns: Sequence[str]) -> None:
    """Stop training the parameters that match a pattern.

    Raises:
        StentorError: when a pattern matches nothing, or nothing is left to train.
    """
    for number, pattern in enumerate(patterns):
        names = _matching(model, pattern, f"train.freeze[{number}]")
        for name, parameter in model.named_parameters():
            if name in names:
                parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise StentorError("every parameter is frozen; there is nothing to train.", path="train.freeze")


def quiet_frozen(model: nn.Module) -> None:
    """Put modules whose parameters are all frozen in evaluation mode: no dropout, no running statistics."""
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def optimiser(model: nn.Module, settings: TrainSettings, *, fused: bool = True) -> torch.optim.AdamW:
    """AdamW over the trainable parameters; each group carries its ``scale`` of the learning rate."""
    for number, group in enumerate(settings.groups):
        _matching(model, group.match, f"train.groups[{number}].match")
    grouped: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            grouped.setdefault(_choice(name, parameter, settings), []).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": decay, "scale": scale, "lr": settings.lr * scale}
        for (scale, decay), parameters in grouped.items()
    ]
    first, second = settings.betas
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(first, second), fused=fused)


def _choice(name: str, parameter: nn.Parameter, settings: TrainSettings) -> tuple[float, float]:
    """(scale of the learning rate, weight decay) of one parameter."""
    general = settings.weight_decay if parameter.ndim >= 2 else 0.0
    group: GroupSettings | None = next((g for g in settings.groups if fnmatchcase(name, g.match)), None)
    if group is None:
        return 1.0, general
    return group.lr, general if group.weight_decay is None else group.weight_decay


def _matching(model: nn.Module, pattern: str, path: str) -> set[str]:
    names = [name for name, _ in model.named_parameters()]
    found = {name for name in names if fnmatchcase(name, pattern)}
    if not found:
        raise StentorError("it matches no parameter.", path=path, value=pattern, options=_starts(names))
    return found


def _starts(names: Iterable[str]) -> list[str]:
    """Globs for the topmost parts of a model, as hints."""
    return sorted({".".join(name.split(".")[:2]) + ".*" for name in names if "." in name})
