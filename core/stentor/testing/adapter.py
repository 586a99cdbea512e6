"""The contract of adapters."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.testing.module import ModuleContract, padded, place, valid
from stentor.testing.signals import gaussian


class AdapterContract(ModuleContract):
    """Checks for adapters.

    Attributes:
        in_dim: width of the frames that it is wired to.
        out_dim: width of the embeddings that it has to give.
        counts: frames of the utterances that it is tried on.
    """

    kind = "adapter"
    in_dim: ClassVar[int] = 24
    out_dim: ClassVar[int] = 32
    counts: ClassVar[tuple[int, ...]] = (31, 12, 50)

    def wired(self) -> tuple[Any, ...]:
        return self.in_dim, self.out_dim

    def utterances(self) -> list[Tensor]:
        """Frames float [T, in_dim] of different lengths."""
        return [gaussian(count, self.in_dim, seed=count) for count in self.counts]

    def adapt(self, adapter: Any, rows: list[Tensor], to: int | None = None) -> list[Tensor]:
        """The valid embeddings of every row, adapted as one batch padded to `to` frames."""
        device, dtype = place(adapter)
        frames, lengths = padded(rows, to)
        return valid(*adapter(frames.to(device, dtype), lengths.to(device)))

    def run(self, module: Any) -> Tensor:
        return torch.cat(self.adapt(module, self.utterances()))

    def test_declared_width(self) -> None:
        """Embeddings are as wide as the backbone that it was wired to."""
        with torch.no_grad():
            embeddings = self.adapt(self.build(), self.utterances())[0]
        self.demand(embeddings.shape[-1] == self.out_dim,
                    f"it was wired to width {self.out_dim} and gives width {embeddings.shape[-1]}.")  # fmt: skip

    def test_declared_stride(self) -> None:
        """T frames give ceil(T / stride) embeddings, for every T."""
        adapter, stride = self.build(), self.component_class.stride_of(**self.config)
        self.demand(isinstance(stride, int) and stride >= 1, f"it declares stride {stride!r}.")
        shown = getattr(adapter, "stride", None)
        self.demand(shown == stride, f"stride_of() declares {stride}, the instance has stride = {shown}.")
        with torch.no_grad():
            for count in range(1, 2 * stride + 4):
                output, lengths = adapter(gaussian(1, count, self.in_dim), torch.tensor([count]))
                due, measured = -(-count // stride), (output.shape[1], int(lengths[0]))
                self.demand(measured == (due, due), f"stride {stride} makes {due} embeddings of {count} frames; it "
                                                    f"gives {measured[0]}, length {measured[1]}.")  # fmt: skip
        self.demand(lengths.dtype == torch.int64, f"its lengths are {lengths.dtype}, not int64.")

    def test_padding_invariance(self) -> None:
        """Embeddings do not depend on how far the batch pads their utterance."""
        adapter, rows = self.build(), self.utterances()
        with torch.no_grad():
            near, far = self.adapt(adapter, rows), self.adapt(adapter, rows, max(self.counts) + 17)
        for index, (left, right) in enumerate(zip(far, near, strict=True)):
            self.agree(left, right, f"embeddings of utterance {index} padded by 17 frames against as it was")

    def test_batch_equals_single(self) -> None:
        """A batch gives what its utterances give alone."""
        adapter, rows = self.build(), self.utterances()
        with torch.no_grad():
            together, alone = self.adapt(adapter, rows), [self.adapt(adapter, [row])[0] for row in rows]
        for index, (left, right) in enumerate(zip(together, alone, strict=True)):
            self.agree(left, right, f"embeddings of utterance {index} in a batch against alone")
