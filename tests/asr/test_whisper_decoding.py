"""Greedy decoding: the cache changes nothing, a batch gives what its rows give, and the rules hold."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_whisper import TIMES, WORDS, model, needs_weights, noise, save

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_asr.whisper.greedy import Decoded, decode
from stentor_asr.whisper.rules import Rules, Specials

FIRST = WORDS + 10
SPECIALS = Specials(end=WORDS, start=WORDS + 1, no_timestamps=WORDS + 9, no_speech=WORDS + 8, languages={},
                    transcribe=WORDS + 5, banned=(1, 2, WORDS + 1, *range(WORDS + 4, WORDS + 9)),
                    banned_first=(3, WORDS))  # fmt: skip
MANY = replace(SPECIALS, languages={"en": WORDS + 2, "cs": WORDS + 3})


@pytest.fixture(scope="module")
def whisper():
    return model()


@pytest.fixture(scope="module")
def encoded():
    return torch.randn(5, 40, 32, generator=torch.Generator().manual_seed(1)) * 3


def without_cache(whisper, encoded, rules, prompt, steps):
    said = []
    for _ in range(steps):
        tokens = torch.tensor([prompt + said])
        logits = whisper(decoder_input_ids=tokens, encoder_outputs=(encoded[None],)).logits[:, -1]
        token = int(rules.apply(logits, [said]).argmax())
        if token == rules.specials.end:
            break
        said.append(token)
    return said


@pytest.mark.parametrize("timestamps", [True, False])
def test_cache_changes_nothing(whisper, encoded, timestamps):
    rules = Rules(SPECIALS, timestamps=timestamps)
    prompt = [SPECIALS.start] + ([] if timestamps else [SPECIALS.no_timestamps])
    with torch.inference_mode():
        found = decode(whisper, encoded[:2], rules)
        for row, decoded in enumerate(found):
            expected = without_cache(whisper, encoded[row], rules, prompt, 25)
            assert decoded.tokens[: len(expected)] == expected
            assert len(expected) > 3


def test_batch_equals_single(whisper, encoded):
    rules = Rules(SPECIALS)
    with torch.inference_mode():
        together = decode(whisper, encoded, rules)
        for row, decoded in enumerate(together):
            assert decode(whisper, encoded[row : row + 1], rules)[0].tokens == decoded.tokens


def test_rows_that_end_early_leave_the_others_alone(whisper, encoded):
    """A token that rows say at different times is made the end, so that rows leave the batch half-way."""
    with torch.inference_mode():
        whole = [decoded.tokens for decoded in decode(whisper, encoded, Rules(SPECIALS, timestamps=False))]
        ends = {
            token: [row.index(token) if token in row else len(row) for row in whole] for row in whole for token in row
        }
        end, lengths = max(ends.items(), key=lambda item: len(set(item[1])))
        found = decode(whisper, encoded, Rules(replace(SPECIALS, end=end), timestamps=False))
    assert len(set(lengths)) > 2
    assert [decoded.tokens for decoded in found] == [row[:length] for row, length in zip(whole, lengths, strict=True)]


def test_languages_are_found_row_by_row_or_given(whisper, encoded):
    with torch.inference_mode():
        found = decode(whisper, encoded, Rules(MANY))
        given = decode(whisper, encoded, Rules(MANY), "cs")
    assert {decoded.language for decoded in found} <= {"en", "cs"}
    assert {decoded.language for decoded in given} == {"cs"}


def test_guard_never_repeats(whisper, encoded):
    with torch.inference_mode():
        for decoded in decode(whisper, encoded, Rules(SPECIALS, timestamps=False, no_repeat=3)):
            grams = [tuple(decoded.tokens[at : at + 3]) for at in range(len(decoded.tokens) - 2)]
            assert len(grams) == len(set(grams))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31))
def test_timestamps_keep_their_order_whatever_the_logits(seed):
    generator = torch.Generator().manual_seed(seed)
    rules, said = Rules(SPECIALS), []
    for _ in range(40):
        logits = torch.randn(1, FIRST + TIMES, generator=generator) * 4
        token = int(rules.apply(logits, [said]).argmax())
        if token == SPECIALS.end:
            break
        assert token not in SPECIALS.banned and token != SPECIALS.no_timestamps
        said.append(token)
    assert FIRST <= said[0] <= FIRST + 50
    times = [token for token in said if token >= FIRST]
    assert times == sorted(times)
    for before, middle, after in zip(said, said[1:], said[2:], strict=False):
        assert not (before >= FIRST and middle >= FIRST and after >= FIRST)


@pytest.fixture
def recogniser(tmp_path):
    save(tmp_path)
    built = registry().build("recogniser", "whisper", weights=str(tmp_path), device="cpu")
    built.load_pretrained()
    return built


def test_recogniser_of_a_local_folder(recogniser):
    heard = recogniser.recognise([noise(2.0), noise(5.0, 1)])
    assert len(heard) == 2
    for window, seconds in zip(heard, (2.0, 5.0), strict=True):
        assert all(0 <= segment.start < segment.end <= seconds + 0.021 for segment in window.segments)
        assert all(0 < segment.confidence <= 1 for segment in window.segments)
    assert recogniser.recognise([]) == []


def say(monkeypatch, answer):
    """Let decoding give ``answer(rules, number of the call)`` for every window."""
    calls = []

    def decode(model, encoded, rules, language):
        calls.append(rules)
        tokens = answer(rules, len(calls))
        return [Decoded(0.0, "en", tokens, [-0.1] * len(tokens), True) for _ in encoded]

    monkeypatch.setattr("stentor_asr.whisper.recogniser.decode", decode)
    return calls


def test_loops_are_decoded_again_under_the_guard(recogniser, monkeypatch):
    calls = say(monkeypatch, lambda rules, _: [FIRST, *(range(40, 60) if rules.no_repeat else [40] * 60), FIRST + 50])
    (heard,) = recogniser.recognise([noise(1.0)])
    assert [rules.no_repeat for rules in calls] == [0, 5]
    assert "without repeating" in heard.warnings[0]
    assert len(set(heard.segments[0].text)) > 10


def test_speech_after_an_early_end_is_heard_again(recogniser, monkeypatch):
    calls = say(monkeypatch, lambda _, call: [FIRST, 40, 41, FIRST + (100 if call == 1 else 200)])
    (heard,) = recogniser.recognise([noise(6.0)])
    assert len(calls) == 2
    assert [(segment.start, segment.end) for segment in heard.segments] == [(0.0, 2.0), (2.0, 6.0)]


def test_silence_after_the_end_is_not_heard_again(recogniser, monkeypatch):
    calls = say(monkeypatch, lambda *_: [FIRST, 40, 41, FIRST + 100])
    recogniser.recognise([noise(6.0) * (np.arange(96000) < 32000)])
    assert len(calls) == 1


def test_predict_is_what_evaluation_calls(recogniser):
    audio = torch.zeros(2, 32000)
    audio[0] = torch.from_numpy(noise(2.0))
    texts = recogniser.predict({"audio": audio, "audio_lengths": torch.tensor([32000, 32000])})
    assert len(texts) == 2 and texts[1] == ""


def test_unknown_language_names_the_known(tmp_path):
    save(tmp_path)
    with pytest.raises(StentorError, match=r"cs, en"):
        registry().build("recogniser", "whisper", weights=str(tmp_path), language="xx").load_pretrained()


def test_folder_without_tokenizer_is_one_sentence(tmp_path):
    save(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(StentorError, match=r"tokenizer\.json"):
        registry().build("recogniser", "whisper", weights=str(tmp_path)).load_pretrained()


def test_other_models_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(StentorError, match="bert"):
        registry().build("recogniser", "whisper", weights=str(tmp_path))


@needs_weights
def test_noise_is_not_speech():
    built = registry().build("recogniser", "whisper", device="cpu")
    built.load_pretrained()
    assert [heard.segments for heard in built.recognise([noise(4.0, level=0.05), noise(2.0, 1, 0.01)])] == [(), ()]
