"""The device that a name means on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stentor.errors import StentorError

if TYPE_CHECKING:
    import torch

NAMES = ("auto", "cpu", "cuda")


def choose_device(name: str) -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` means here; ``auto`` is a GPU where there is one.

    Raises:
        StentorError: for another name, or a GPU that is not there.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and not (kind == "cuda" and number.isascii() and number.isdigit())):
        raise StentorError(f"there is no device '{name}'.", path="device", value=name, options=NAMES)
    there = torch.cuda.device_count() if kind == "cuda" and torch.cuda.is_available() else 0
    if kind == "cuda" and int(number or 0) >= there:
        seen = f"PyTorch {torch.__version__} sees {there or 'no'} GPU{'s' * (there != 1)} here"
        raise StentorError(f"device '{name}' is not to be had: {seen}.", path="device", suggestion="Use cpu.")
    return torch.device(name)
