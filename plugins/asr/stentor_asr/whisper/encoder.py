"""Whisper's encoder over windows as long as the utterance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stentor.errors import StentorError
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.model import weights as pretrained
from stentor_asr.whisper.features import LogMel
from stentor_asr.whisper.sizes import FRAME_SAMPLES, POSITIONS, SAMPLE_RATE, WINDOW, config_of


class WhisperEncoder(Encoder):
    """Log-mel, two convolutions and a transformer (Radford et al. 2022), 50 frames/s, without padding to 30 s.

    An utterance of up to 30 s is one window; a longer one is cut into windows of 30 s, each encoded alone. The frames
    of a full window are those of ``transformers.WhisperModel``; in a shorter one attention sees no padding at all.

    Args:
        weights: a Hub name, or a folder in the Hub's layout; constructing needs only its sizes.
        frozen: keep the weights as they are: no gradients, always in evaluation mode.

    Raises:
        StentorError: when the sizes of `weights` are not known.
    """

    def __init__(self, *, weights: str = "openai/whisper-tiny.en", frozen: bool = True) -> None:
        super().__init__()
        from transformers import WhisperConfig
        from transformers.models.whisper import modeling_whisper

        self.weights, self.frozen = weights, frozen
        spec = self.spec(weights=weights)
        self.dim, self.frame_rate, self.sample_rate = spec.dim, spec.frame_rate, spec.sample_rate
        config = WhisperConfig(**config_of(weights))
        self.features = LogMel(config.num_mel_bins)
        self.network = modeling_whisper.WhisperEncoder(config)
        self.network.requires_grad_(not frozen).train(not frozen)

    @classmethod
    def spec(cls, *, weights: str = "openai/whisper-tiny.en", **_: Any) -> EncoderSpec:
        return EncoderSpec(int(config_of(weights)["d_model"]), SAMPLE_RATE / FRAME_SAMPLES, SAMPLE_RATE)

    def load_pretrained(self) -> dict[str, str]:
        source = pretrained.resolve(self.weights)
        state = source.checkpoint.state_dict("model.encoder.") or source.checkpoint.state_dict("encoder.")
        try:
            self.network.load_state_dict(state)
        except RuntimeError as cause:
            raise StentorError(f"the weights '{self.weights}' ({source.checkpoint.describe()}) do not fit: "
                               f"{str(cause).splitlines()[-1].strip()}") from cause  # fmt: skip
        return source.provenance()

    def train(self, mode: bool = True) -> WhisperEncoder:
        """Set training mode; a frozen encoder stays in evaluation mode."""
        super().train(mode and not self.frozen)
        return self

    def frames(self, samples: int) -> int:
        return -(-samples // FRAME_SAMPLES)

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            out_lengths = -(-lengths // FRAME_SAMPLES)
            audio = audio.masked_fill(torch.arange(audio.shape[1], device=audio.device) >= lengths[:, None], 0.0)
            if audio.shape[1] <= WINDOW:
                return self._encode(audio, out_lengths), out_lengths
            return self._encode_long(audio, out_lengths), out_lengths

    def _encode_long(self, audio: Tensor, out_lengths: Tensor) -> Tensor:
        count = -(-audio.shape[1] // WINDOW)
        audio = functional.pad(audio, (0, count * WINDOW - audio.shape[1]))
        frames = audio.new_zeros(audio.shape[0], count * POSITIONS, self.network.config.d_model)
        for index in range(count):
            valid = (out_lengths - index * POSITIONS).clamp(0, POSITIONS)
            rows = valid.nonzero()[:, 0]
            if len(rows):
                window = audio[rows, index * WINDOW : (index + 1) * WINDOW]
                span = slice(index * POSITIONS, index * POSITIONS + int(valid.max()))
                frames[rows, span] = self._encode(window, valid[rows])
        return frames[:, : int(out_lengths.max())]

    def _encode(self, audio: Tensor, lengths: Tensor) -> Tensor:
        # One mel frame more than the frames cover gives the last ones the context that a longer window would give them.
        mel = self.features(audio, min(2 * int(lengths.max()) + 1, 2 * POSITIONS))
        return encode(self.network, mel, lengths)


def encode(network: Any, mel: Tensor, lengths: Tensor) -> Tensor:
    """Frames [B, T, D] of log-mels, zero beyond `lengths`; on one CPU thread bit for bit what each row gives alone.

    Args:
        network: ``transformers``' WhisperEncoder.
        mel: float [B, bands, 2 T or 2 T + 1].
        lengths: int64 [B], frames wanted of each row; T is the longest.
    """
    longest = int(lengths.max())
    mel = functional.pad(mel, (1, 2 * longest + 1 - mel.shape[2]))
    hidden = _convolve(network.conv1, mel.transpose(1, 2))
    hidden = _convolve(network.conv2, functional.pad(hidden, (0, 0, 1, 0))) + network.embed_positions.weight[:longest]
    valid = torch.arange(longest, device=mel.device) < lengths[:, None]
    packed, sizes = hidden[valid], lengths.tolist()
    for layer in network.layers:
        packed = packed + _attend(layer.self_attn, layer.self_attn_layer_norm(packed), sizes)
        packed = packed + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(packed))))
    return torch.zeros_like(hidden).masked_scatter(valid[..., None], network.layer_norm(packed))


def _convolve(convolution: Any, frames: Tensor) -> Tensor:
    """GELU of a convolution without padding over frames [B, T, C].

    One matrix product: convolution kernels change with the shape, and with them the last bits of a row in a batch.
    """
    spans = frames.unfold(1, convolution.kernel_size[0], convolution.stride[0]).flatten(2)
    return functional.gelu(functional.linear(spans, convolution.weight.flatten(1), convolution.bias))


def _attend(attention: Any, packed: Tensor, sizes: list[int]) -> Tensor:
    """Self-attention inside each of the windows that lie end to end in `packed` [sum of sizes, D]."""
    heads, width = attention.num_heads, attention.head_dim
    query, key, value = (
        project(packed).view(-1, heads, width).transpose(0, 1).split(sizes, dim=1)
        for project in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    mixed = [
        functional.scaled_dot_product_attention(q[None], k[None], v[None])[0]
        for q, k, v in zip(query, key, value, strict=True)
    ]
    return attention.out_proj(torch.cat(mixed, dim=1).transpose(0, 1).reshape(packed.shape))
