"""Acoustic model ``flow-unet``: flow matching with a one-dimensional U-Net."""

from __future__ import annotations

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec
from stentor_tts.flow.decoder import FlowDecoder
from stentor_tts.flow.networks import UNet


class FlowUNet(FlowDecoder):
    """Flow matching whose network is a one-dimensional U-Net of residual convolutions and transformer blocks.

    The decoder of Matcha-TTS (Mehta et al. 2023, arXiv 2309.03199) with causal convolutions, so that it streams. Codes
    and a reference of a few seconds to log-mel frames; see `FlowDecoder` for how.

    Args:
        dim: width.
        layers: pairs of a convolution and a transformer block at half the rate; one more pair runs before and behind.
        heads: of attention.
        hidden: width inside of the feed-forward layers.
        stack: mel frames (10 ms) at one position; a group of codes must have an even number of positions.
        chunk: groups of codes that are made at once; 0 makes the whole utterance at once and does not stream.
        left: chunks that a chunk looks back on.
        lookahead: groups behind a chunk whose codes it sees.
        steps: of Euler's method.
        sway: from 0 (even steps) to -1 (steps lie closest together where the path begins).
        temperature: scale of the noise that sampling begins with; below 1 is plainer, and easier to understand.
        guidance: how far to go beyond the conditioned prediction, away from the unconditioned one; 0 is none.
        drop: share of training rows without any condition, which guidance needs; half as many are without reference.
        variation: share of training rows in a voice that is drawn, by warping reference and target alike.
        run: a trained run whose acoustic model this is.
    """

    def __init__(
        self,
        codec: CodecSpec,
        *,
        dim: int = 192,
        layers: int = 3,
        heads: int = 3,
        hidden: int = 576,
        stack: int = 2,
        chunk: int = 3,
        left: int = 6,
        lookahead: int = 1,
        steps: int = 6,
        sway: float = 0.0,
        temperature: float = 0.6,
        guidance: float = 0.7,
        drop: float = 0.15,
        variation: float = 0.3,
        run: str = "",
    ) -> None:
        super().__init__(
            codec, dim=dim, heads=heads, stack=stack, chunk=chunk, left=left, lookahead=lookahead, steps=steps,
            sway=sway, temperature=temperature, guidance=guidance, drop=drop, variation=variation, run=run,
        )  # fmt: skip
        if self.grid.positions % UNet.stride:
            raise StentorError(
                f"a group has {self.grid.positions} positions of {stack} mel frames, and the U-Net needs an even "
                f"number of them.",
                path="acoustic.stack",
                value=stack,
            )
        self.network = UNet(self.grid.channels, dim, layers, heads, hidden)
