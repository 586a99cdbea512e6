"""Exports of real recognisers: the encoder embedded, the backbone for transformers, transcripts that stay the same."""

import shutil

import numpy as np
import pytest
import soundfile
import tiny_whisper
import torch

from stentor.config import Recipe
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.model.causal_lm import CausalLM
from stentor.train import fit, load
from stentor.train.export import export
from stentor.train.weights import digests
from stentor_asr.transcribe.choice import choose
from stentor_asr.transcribe.pipeline import transcribe

TEXTS = ["red lamp", "blue lamp on", "blue door", "red door open now"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Tiny Whisper weights in a folder, a corpus of noise, and a run of two steps with LoRA on the backbone."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "whisper").mkdir()
    tiny_whisper.save(folder / "whisper")
    rows = []
    for number in range(8):
        path, samples = folder / f"{number}.wav", tiny_whisper.noise(0.8 + 0.1 * number, number)
        soundfile.write(path, samples, 16000)
        seconds, text = len(samples) / 16000, TEXTS[number % 4]
        rows.append(Utterance(path.stem, str(path), seconds, 16000, text=text, frames=len(samples)))
    manifest.save(folder / "train.jsonl.gz", rows)
    fit(recipe(folder), folder / "run", progress=False)
    return folder


def recipe(folder):
    return Recipe.from_dict(
        {
            "name": "tiny",
            "task": {"name": "speech-lm"},
            "encoder": {"name": "whisper", "weights": str(folder / "whisper")},
            "adapter": {"name": "stack", "stride": 5, "hidden": 16},
            "backbone": {"name": "causal-lm", "dim": 16, "layers": 2, "heads": 2},
            "text": {"name": "bpe", "pieces": 40},
            "data": {"train": str(folder / "train.jsonl.gz"), "cache": False},
            "train": {"steps": 2, "lr": 0.05, "tracking": [], "accelerator": "cpu", "lora": {"rank": 2}},
            "evaluate": {},
        }
    )


def said(folder, take):
    recogniser = choose(folder)
    recogniser.load_pretrained()
    return [one.text for one in transcribe([take], recogniser)]


def test_an_export_that_embeds_needs_no_source(place, tmp_path):
    plain, full = export(place / "run", tmp_path / "plain"), export(place / "run", tmp_path / "full", embedded=True)
    wanted, text = digests(load(place / "run")[1]), said(place / "run", place / "7.wav")
    assert digests(load(full)[1]) == digests(load(plain)[1]) == wanted
    shutil.move(place / "whisper", place / "elsewhere")
    try:
        assert digests(load(full)[1]) == wanted and said(full, place / "7.wav") == text
        again = export(full, tmp_path / "again", embedded=True)
        assert digests(load(again)[1]) == wanted
        with pytest.raises(StentorError, match="not at hand"):
            load(plain)
    finally:
        shutil.move(place / "elsewhere", place / "whisper")
    (weights,) = full.glob("pretrained/*/model.safetensors")
    assert weights.stat().st_size < (place / "whisper" / "model.safetensors").stat().st_size


def test_transformers_loads_the_backbone_with_equal_logits(place, tmp_path):
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    made = export(place / "run", tmp_path / "given", backbone=True)
    theirs = AutoModelForCausalLM.from_pretrained(made / "backbone").eval()
    task = load(place / "run")[1]
    (ours,) = [module for module in task.modules() if isinstance(module, CausalLM)]
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, ours.vocabulary_size, (2, 12)))
    with torch.no_grad():
        wanted = ours.project(ours(ours.embed(ids)))
        torch.testing.assert_close(theirs(ids).logits, wanted, rtol=1e-5, atol=1e-5)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(made / "backbone" / "tokenizer.json"))
    assert tokenizer.encode("blue lamp", add_special_tokens=False) == task.text.encode("blue lamp")
    assert digests(load(made)[1]) == digests(load(place / "run")[1])
