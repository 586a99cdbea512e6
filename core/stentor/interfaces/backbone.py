"""Backbones: the causal language model in the middle."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from stentor.errors import StentorError
from stentor.interfaces.component import Component


class Cache(Protocol):
    """Keys and values of past positions, one row per sequence; rows may have different lengths."""

    lengths: Tensor
    """int64 [B], positions held by each row."""

    def truncate(self, lengths: Tensor) -> None:
        """Forget the positions of row b from ``lengths[b]`` on (int64 [B]); used to reject drafted tokens."""

    def select(self, rows: Tensor) -> None:
        """Keep rows `rows` (int64 [B']), in that order; drops finished rows and reorders beams."""


class Tail(nn.Module):
    """A further layer of a backbone's kind, with a final norm of its own; it runs and is cached as the backbone is."""

    @abstractmethod
    def forward(
        self,
        inputs: Tensor,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Any | None = None,
        packed: Sequence[int | Sequence[int]] | None = None,
    ) -> Tensor:
        """Hidden states [B, T, dim]; arguments as for `Backbone.forward`."""

    @abstractmethod
    def new_cache(self, batch: int, capacity: int) -> Any:
        """An empty `Cache` for `batch` rows of at most `capacity` positions."""

    @abstractmethod
    def copy(self, backbone: Any) -> None:
        """Take over the weights that the last layer and the final norm of `backbone` have now."""


class Backbone(Component, nn.Module):
    """Input embeddings to hidden states, with its own token embedding and output projection.

    The constructor is wired with ``(vocabulary_size,)``.

    Attributes:
        dim: width of embeddings and hidden states.
        layers: number of decoder layers.
        adaptable: whether `train.lora` applies to it; a frozen reference is left as it is.
    """

    dim: int
    layers: int
    adaptable: bool = True

    @classmethod
    @abstractmethod
    def dim_of(cls, **configured: Any) -> int:
        """The width of an instance with this configuration, without building it or reading weights."""

    @abstractmethod
    def embed(self, ids: Tensor) -> Tensor:
        """Token embeddings [..., dim] of ids [...]."""

    @abstractmethod
    def forward(
        self,
        inputs: Tensor,
        *,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Any | None = None,
        packed: Sequence[int | Sequence[int]] | None = None,
    ) -> Tensor:
        """Run the layers.

        Args:
            inputs: float [B, T, dim].
            mask: bool; [B, T] says which inputs are valid (right padding), [B, T, S] which keys each query may see
                (already causal). None: all valid, causal.
            positions: int64 [B, T]; default counts from 0, or on from the cache.
            cache: from `new_cache`; the T inputs are appended to it in place, right padding uncounted, and no gradient
                flows. S then counts the cache's positions and the T new ones.
            packed: lengths of the sequences that lie end to end in the one row of `inputs` (B = 1, summing to T);
                attention never crosses them and positions restart. Excludes `mask` and `cache`. Where the backbone
                claims ``forks``, an entry may be the length of a beginning and those of continuations, each of which
                follows it directly and sees nothing of the others.

        Returns:
            Hidden states after the final norm [B, T, dim].
        """

    @abstractmethod
    def project(self, hidden: Tensor) -> Tensor:
        """Logits [..., vocabulary_size] of hidden states [..., dim]."""

    @abstractmethod
    def new_cache(self, batch: int, capacity: int) -> Any:
        """An empty `Cache` for `batch` rows of at most `capacity` positions."""

    @abstractmethod
    def decoder_layers(self) -> Sequence[nn.Module]:
        """The layers in order: where layer taps attach."""

    @abstractmethod
    def resize_vocabulary(self, size: int) -> None:
        """Grow embedding and projection to `size` ids; the old rows stay bit-identical."""

    def tail(self) -> Tail:
        """A new layer of this backbone's kind that begins with the weights of its last layer and its final norm.

        Raises:
            StentorError: when the backbone offers none.
        """
        raise StentorError(f"backbone {type(self).__name__} offers no copy of its last layer (method 'tail').")
