"""The contracts of the kinds that this plugin declares; importing this package is cheap."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stentor_tts.testing.acoustic import AcousticContract
    from stentor_tts.testing.reward import AudioRewardContract
    from stentor_tts.testing.vocoder import VocoderContract

_HOMES = {"AcousticContract": "acoustic", "AudioRewardContract": "reward", "VocoderContract": "vocoder"}

__all__ = ["AcousticContract", "AudioRewardContract", "VocoderContract"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stentor_tts.testing' has no attribute '{name}'")
    return getattr(importlib.import_module(f"stentor_tts.testing.{_HOMES[name]}"), name)
