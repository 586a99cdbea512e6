"""Backbone `renormed`: another backbone behind a norm of its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from torch import Tensor, nn

from stentor.config import ComponentOf
from stentor.interfaces.backbone import Backbone
from stentor.plugins import registry

DEFAULT = {"name": "causal-lm", "dim": 64, "layers": 2, "heads": 2}


class Renormed(Backbone):
    """Any registered backbone with an RMS norm (Zhang and Sennrich 2019) on its input embeddings.

    Args:
        vocabulary_size: number of ids.
        inner: the backbone that does the work.
    """

    def __init__(
        self, vocabulary_size: int, *, inner: Annotated[Mapping[str, Any], ComponentOf("backbone")] = DEFAULT
    ) -> None:
        super().__init__()
        self.inner: Backbone = registry().build("backbone", inner["name"], vocabulary_size, **_settings(inner))
        self.dim, self.layers = self.inner.dim, self.inner.layers
        self.norm = nn.RMSNorm(self.dim)

    @classmethod
    def dim_of(cls, *, inner: Mapping[str, Any] = DEFAULT, **_: Any) -> int:
        return int(registry().get("backbone", inner["name"]).load().dim_of(**_settings(inner)))

    def embed(self, ids: Tensor) -> Tensor:
        return self.inner.embed(ids)

    def forward(
        self,
        inputs: Tensor,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Any | None = None,
        packed: Sequence[int] | None = None,
    ) -> Tensor:
        return self.inner(self.norm(inputs), mask=mask, positions=positions, cache=cache, packed=packed)

    def project(self, hidden: Tensor) -> Tensor:
        return self.inner.project(hidden)

    def new_cache(self, batch: int, capacity: int) -> Any:
        return self.inner.new_cache(batch, capacity)

    def decoder_layers(self) -> Sequence[nn.Module]:
        return self.inner.decoder_layers()

    def resize_vocabulary(self, size: int) -> None:
        self.inner.resize_vocabulary(size)


def _settings(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "name"}
