"""The conformance kit: what a component of any kind has to prove.

Subclass the contract of its kind in a test module and give a name::

    from stentor.testing import EncoderContract

    class TestMine(EncoderContract):
        name = "mine"
        config = {"dim": 32}

Every ``test_*`` method of the contract is one check. Without pytest:
``stentor.testing.check("encoder", "mine", dim=32)`` or, in a shell, ``stentor check encoder mine dim=32``. Importing
this package is cheap; the contracts import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from stentor.testing.outcome import ContractFailure, Result

if TYPE_CHECKING:
    from stentor.testing.adapter import AdapterContract
    from stentor.testing.audio_metric import AudioMetricContract
    from stentor.testing.backbone import BackboneContract
    from stentor.testing.codec import CodecContract
    from stentor.testing.contract import ComponentContract
    from stentor.testing.corpus import CorpusContract
    from stentor.testing.decoder import DecoderContract
    from stentor.testing.drafter import DrafterContract
    from stentor.testing.encoder import EncoderContract
    from stentor.testing.itn import InverseNormaliserContract
    from stentor.testing.metric import MetricContract
    from stentor.testing.module import ModuleContract
    from stentor.testing.normaliser import NormaliserContract
    from stentor.testing.reward import RewardContract
    from stentor.testing.runner import check, contract_for, run_contract
    from stentor.testing.task import TaskContract
    from stentor.testing.tn import TextNormaliserContract
    from stentor.testing.tokenizer import TokenizerContract
    from stentor.testing.vad import VadContract
    from stentor.testing.voice import VoiceContract
    from stentor.testing.weights import WeightsContract

_HOMES = {
    "AdapterContract": "adapter",
    "AudioMetricContract": "audio_metric",
    "BackboneContract": "backbone",
    "CodecContract": "codec",
    "ComponentContract": "contract",
    "CorpusContract": "corpus",
    "DecoderContract": "decoder",
    "DrafterContract": "drafter",
    "EncoderContract": "encoder",
    "InverseNormaliserContract": "itn",
    "MetricContract": "metric",
    "ModuleContract": "module",
    "NormaliserContract": "normaliser",
    "RewardContract": "reward",
    "TaskContract": "task",
    "TextNormaliserContract": "tn",
    "TokenizerContract": "tokenizer",
    "VadContract": "vad",
    "VoiceContract": "voice",
    "WeightsContract": "weights",
    "check": "runner",
    "contract_for": "runner",
    "run_contract": "runner",
}

__all__ = [
    "AdapterContract",
    "AudioMetricContract",
    "BackboneContract",
    "CodecContract",
    "ComponentContract",
    "ContractFailure",
    "CorpusContract",
    "DecoderContract",
    "DrafterContract",
    "EncoderContract",
    "InverseNormaliserContract",
    "MetricContract",
    "ModuleContract",
    "NormaliserContract",
    "Result",
    "RewardContract",
    "TaskContract",
    "TextNormaliserContract",
    "TokenizerContract",
    "VadContract",
    "VoiceContract",
    "WeightsContract",
    "check",
    "contract_for",
    "run_contract",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stentor.testing' has no attribute '{name}'")
    return getattr(importlib.import_module(f"stentor.testing.{_HOMES[name]}"), name)
