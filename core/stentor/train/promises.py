"""Holds a built component to what it declares, at its first pass: a lie gets one line that names who told it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.plugins import registry


def hold(component: Any, kind: str, name: str, wired: tuple[Any, ...]) -> None:
    """Check the first output of an encoder, adapter or backbone against its declarations; later passes cost nothing.

    Args:
        component: just built.
        kind: of it.
        name: in the registry.
        wired: what its constructor was wired with.
    """
    if isinstance(component, nn.Module) and kind in ("encoder", "adapter", "backbone"):
        promise = _Promise(kind, name, wired)
        promise.handle = component.register_forward_hook(promise, with_kwargs=True)


class _Promise:
    """A forward hook that takes itself away."""

    handle: Any

    def __init__(self, kind: str, name: str, wired: tuple[Any, ...]) -> None:
        self.kind, self.name, self.wired = kind, name, wired

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        self.handle.remove()
        if self.kind == "backbone":
            return self._width(output, int(module.dim), "hidden states")  # type: ignore[arg-type]
        frames, lengths = output
        given = (inputs[1] if len(inputs) > 1 else named["lengths"]).tolist()
        if self.kind == "encoder":
            self._width(frames, int(module.dim), "frames")  # type: ignore[arg-type]
            due = [module.frames(int(samples)) for samples in given]  # type: ignore[operator]
        else:
            self._width(frames, int(self.wired[1]), "embeddings")
            due = [-(-count // int(module.stride)) for count in given]  # type: ignore[arg-type]
        if lengths.tolist() != due or frames.shape[1] < max(due, default=0):
            self._fail(f"lengths {due}", f"{lengths.tolist()} in {frames.shape[1]} positions")
        return None

    def _width(self, output: Tensor, declared: int, what: str) -> None:
        if output.ndim != 3 or output.shape[-1] != declared:
            self._fail(f"{what} of width {declared}", f"a tensor of shape {tuple(output.shape)}")

    def _fail(self, declared: str, given: str) -> None:
        origin = registry().get(self.kind, self.name).origin
        raise StentorError(
            f"{self.kind} '{self.name}' of {origin} declares {declared} and gives {given}.",
            suggestion=f"See all of it: stentor check {self.kind} {self.name}",
        )
