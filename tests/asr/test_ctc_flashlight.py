"""Decoder ctc-flashlight: words of the model alone, in whatever pieces, with frames as the posteriors have them."""

from __future__ import annotations

import math
import pickle

import pytest
import torch

from stentor.sequence.tokenizers import BytePairs, Characters
from stentor.testing.decoder import DecoderContract
from stentor_asr.lm import arpa, kneser_ney
from stentor_asr.lm.automaton import NGram, log_probability

pytest.importorskip("flashlight.lib.text.decoder")
from stentor_asr.decoders.flashlight import CTCFlashlight

SENTENCES = ["the cat sat", "a cat sat on the mat", "the mat sat", "a dog"]


class TestCTCFlashlight(DecoderContract):
    name = "ctc-flashlight"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    arpa.write(path, kneser_ney.estimate([text.split() for text in SENTENCES], 3))
    return path


def said(tokenizer, text, sure, seed=0):
    """Posteriors in which every token of a text lasts two frames, and a blank follows."""
    path = [symbol for i in tokenizer.encode(text) for symbol in (i + 1, i + 1, 0)]
    logits = torch.randn(1, len(path), tokenizer.size + 1, generator=torch.Generator().manual_seed(seed))
    logits[0, range(len(path)), path] += sure
    return logits.log_softmax(-1), torch.tensor([len(path)])


@pytest.mark.parametrize("tokenizer", [Characters(), BytePairs(pieces=30), BytePairs(pieces=60)])
def test_it_reads_words_of_the_model_alone(model, tokenizer):
    tokenizer.train(SENTENCES)
    decoder = CTCFlashlight(lm=str(model), weight=1.0)
    decoder.bind(tokenizer)
    log_probs, lengths = said(tokenizer, "the cat sat on the mat", sure=3.0)
    readings = decoder.hypotheses(log_probs, lengths, best=4)[0]
    texts = [tokenizer.decode([i - 1 for i in one.ids]) for one in readings]
    assert texts[0].split() == ["the", "cat", "sat", "on", "the", "mat"]
    known = set(" ".join(SENTENCES).split())
    assert all(set(text.split()) <= known for text in texts)
    assert pickle.loads(pickle.dumps(decoder)).search(log_probs, lengths) == decoder.search(log_probs, lengths)


def test_scores_weigh_the_model_in_natural_logarithms(model):
    tokenizer = Characters()
    tokenizer.train(SENTENCES)
    log_probs, lengths = said(tokenizer, "a dog", sure=9.0)
    scores = []
    for weight in (0.5, 1.5):
        decoder = CTCFlashlight(lm=str(model), weight=weight)
        decoder.bind(tokenizer)
        scores.append(decoder.hypotheses(log_probs, lengths)[0][0].score)
    due = log_probability(NGram(arpa.read(model)), ["a", "dog"])
    assert scores[1] - scores[0] == pytest.approx(due, rel=1e-4)
    path = log_probs.max(-1).values.sum().item()
    assert scores[0] == pytest.approx(path + 0.5 * due, rel=1e-4)


def test_tokens_lie_where_they_are_heard(model):
    tokenizer = Characters()
    tokenizer.train(SENTENCES)
    decoder = CTCFlashlight(lm=str(model))
    decoder.bind(tokenizer)
    log_probs, lengths = said(tokenizer, "a dog", sure=9.0)
    (reading,) = decoder.hypotheses(log_probs, lengths)[0]
    assert reading.frames == tuple((3 * i, 3 * i + 2) for i in range(5))
    sure = [
        math.exp(log_probs[0, a:b, token].mean()) for token, (a, b) in zip(reading.ids, reading.frames, strict=True)
    ]
    assert reading.confidence == pytest.approx(sure, rel=1e-4)
