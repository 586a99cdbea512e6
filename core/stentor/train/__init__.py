"""Training: `fit` a recipe into a run folder, `resume` one that was cut short, `load` what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stentor.train.run import fit, load, resume

__all__ = ["fit", "load", "resume"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'stentor.train' has no attribute '{name}'")
    from stentor.train import run

    return getattr(run, name)
