"""The sizes of OpenAI's Whisper models, so that an architecture can be built and checked without any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stentor.errors import StentorError
from stentor.model import weights

SAMPLE_RATE = 16000
HOP = 160
FRAME_SAMPLES = 320
WINDOW = 30 * SAMPLE_RATE
POSITIONS = WINDOW // FRAME_SAMPLES
_ATTENTION = {"attn_implementation": "sdpa"}
_SIZES = {  # width, encoder layers, decoder layers, heads
    "tiny": (384, 4, 4, 6),
    "base": (512, 6, 6, 8),
    "small": (768, 12, 12, 12),
    "medium": (1024, 24, 24, 16),
    "large": (1280, 32, 32, 20),
    "large-v2": (1280, 32, 32, 20),
    "large-v3": (1280, 32, 32, 20),
    "large-v3-turbo": (1280, 32, 4, 20),
}


def config_of(name: str) -> dict[str, Any]:
    """What ``transformers.WhisperConfig`` takes, for one of OpenAI's names or weights that are at hand.

    The implementation of attention is always PyTorch's, whatever a ``config.json`` says.

    Raises:
        StentorError: when neither the table nor a ``config.json`` tells the sizes, or when it is no Whisper.
    """
    owner, _, model = name.partition("/")
    size = model.removeprefix("whisper-").removesuffix(".en")
    if owner == "openai" and size in _SIZES and not Path(name).is_dir():
        return _openai(size, english=model.endswith(".en"))
    config = weights.config_of(name)
    if not config:
        raise StentorError(f"the sizes of '{name}' are not known without its config.json, which is not at hand.",
                           value=name, options=sorted(f"openai/whisper-{known}" for known in _SIZES))  # fmt: skip
    if config.get("model_type") != "whisper":
        raise StentorError(f"'{name}' is a {config.get('model_type', 'model of unknown type')}, not a whisper.")
    return {**config, **_ATTENTION}


def _openai(size: str, *, english: bool) -> dict[str, Any]:
    width, encoder_layers, decoder_layers, heads = _SIZES[size]
    newest = size.startswith("large-v3")
    end = 50256 if english else 50257
    return {
        "model_type": "whisper",
        "d_model": width,
        "encoder_layers": encoder_layers,
        "decoder_layers": decoder_layers,
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width,
        "num_mel_bins": 128 if newest else 80,
        "vocab_size": 51864 if english else 51866 if newest else 51865,
        "max_source_positions": 1500,
        "max_target_positions": 448,
        "pad_token_id": end,
        "bos_token_id": end,
        "eos_token_id": end,
        "decoder_start_token_id": end + 1,
        **_ATTENTION,
    }
