"""Text in, ids out, the same text back."""

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.plugins import registry

TEXTS = ["turn the kitchen lights on", "play some quiet music", "what is the weather in oslo", "turn it off"] * 3


def trained(name, **configured):
    tokenizer = registry().build("tokenizer", name, **configured)
    tokenizer.train(TEXTS)
    return tokenizer


@pytest.mark.parametrize("name", ["characters", "bytes", "bpe"])
def test_training_text_survives_the_round_trip(name):
    tokenizer = trained(name)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(0 <= i < tokenizer.size for i in ids)


@pytest.mark.parametrize("name", ["characters", "bytes", "bpe"])
def test_state_is_plain_json_and_restores_the_tokenizer(name):
    tokenizer = trained(name)
    again = registry().build("tokenizer", name)
    again.load_state(json.loads(json.dumps(dict(tokenizer.state()))))
    assert again.size == tokenizer.size
    assert [again.encode(text) for text in TEXTS] == [tokenizer.encode(text) for text in TEXTS]
    assert pickle.loads(pickle.dumps(tokenizer)).encode(TEXTS[0]) == tokenizer.encode(TEXTS[0])


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_text_is_an_error(text):
    for name in ("characters", "bytes", "bpe"):
        tokenizer = trained(name)
        assert all(0 <= i < tokenizer.size for i in tokenizer.encode(text))


def test_byte_pairs_shorten_and_do_not_depend_on_order():
    tokenizer, reordered = trained("bpe", pieces=60), registry().build("tokenizer", "bpe", pieces=60)
    reordered.train(reversed(TEXTS))
    assert tokenizer.state() == reordered.state()
    assert len(tokenizer.encode(TEXTS[0])) < len(TEXTS[0])
    assert tokenizer.size <= 60


def test_an_untrained_tokenizer_says_so():
    tokenizer = registry().build("tokenizer", "bpe")
    with pytest.raises(StentorError, match="not trained"):
        tokenizer.encode("a")
    with pytest.raises(StentorError, match="no text"):
        tokenizer.train([])
