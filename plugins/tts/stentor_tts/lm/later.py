"""Components that a task names but has in memory only when it needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from stentor.model import weights as sources
from stentor.train import assembly

Part = TypeVar("Part", bound=nn.Module)


class Later(Generic[Part]):
    """A component that is built, with its pretrained weights, when it is first asked for.

    It belongs to no module: it is neither trained nor saved with the task that holds it.

    Args:
        kind: of the component.
        section: ``{"name": ..., **configured}``.
        wired: the constructor's positional arguments.
        path: where the section stands, for errors; default: the kind.
    """

    def __init__(self, kind: str, section: Mapping[str, Any], *wired: Any, path: str = "") -> None:
        self.kind, self.section, self.wired, self.path = kind, dict(section), wired, path or kind
        self._built: Part | None = None
        self._beside = sources.embedding()  # an export's own parts are found there, later as now

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_built": None}  # a copy builds its own

    @property
    def there(self) -> bool:
        """Whether it is in memory."""
        return self._built is not None

    @property
    def name(self) -> str:
        return str(self.section["name"])

    @property
    def built(self) -> Part:
        """The component, frozen and in evaluation mode.

        Raises:
            StentorError: when it cannot be built, or its weights are not to be had.
        """
        if self._built is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # what has no weights yet is the same every time
                made = assembly.build(self.kind, self.section, *self.wired, path=self.path)
            with sources.beside(self._beside):
                made.load_pretrained()
            self._built = made.requires_grad_(False).eval()
        return self._built

    def on(self, device: torch.device) -> Part:
        """The same, on a device."""
        return self.built.to(device)
