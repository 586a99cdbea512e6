"""The corpus of styles: its text, its levels and tempos, its spans, what it shares between splits, and bad speech."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stentor.data.corpora.commands_text import part_of
from stentor.errors import StentorError
from stentor.interfaces.corpus import Item, Rejected
from stentor.interfaces.voice import Voice
from stentor_tts.corpora import styles_audio
from stentor_tts.corpora.styles import Styles
from stentor_tts.corpora.styles_audio import LEVEL, RATE, plan, plan_tagged, speak
from stentor_tts.corpora.styles_text import ShortTexts, open_grammar, tagged
from stentor_tts.levels import GAINS, TAGS
from stentor_tts.metrics.spans import UP_OR_DOWN
from stentor_tts.sounding import speech_level

VOICE = "espeak:en-us+steph"
SMALL: dict[str, Any] = {
    "utterances": 8, "valid": 1, "heldout_sentences": 1, "heldout_styles": 5, "heldout_spans": 4, "heldout_whisper": 1,
    "heldout_voice": 3, "train_open": 1, "heldout_open": 1, "main": VOICE, "voices": ("espeak:en-us", f"{VOICE}~0.9"),
    "unseen_voice": "espeak:en-us+f2", "workers": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def plans() -> list[Any]:
    sizes = {"heldout_sentences": 20, "heldout_styles": 50, "heldout_spans": 20, "heldout_whisper": 10}
    sizes |= {"utterances": 600, "valid": 10, "heldout_voice": 10, "train_open": 20, "heldout_open": 10}
    return list(Styles(None, Path("unused"), **sizes).plans())


def test_shares_of_training_rows_are_near_what_was_asked(plans: list[Any]) -> None:
    train = [one for one in plans if one.split == "train"]
    share = {name: sum(map(test, train)) / len(train) for name, test in {
        "short": lambda one: one.unit != "sentence",
        "inline": lambda one: any(stretch.tag for stretch in one.stretches),
        "whisper": lambda one: one.voice.endswith("~whisper"),
        "main": lambda one: one.voice.startswith("hibari") and "~0" not in one.voice and "~1" not in one.voice,
    }.items()}  # fmt: skip
    assert share == pytest.approx({"short": 0.25, "inline": 0.12, "whisper": 0.05, "main": 0.5}, abs=0.05)


def test_heldout_sentences_and_the_heldout_voice_are_not_in_training(plans: list[Any]) -> None:
    texts, voices = defaultdict(set), defaultdict(set)
    for one in plans:
        texts[one.split].add(one.text)
        voices[one.split].add(one.voice)
    for split in texts:
        if split.startswith("heldout"):
            assert all(part_of(text) == "heldout" for text in texts[split])
            assert not texts[split] & (texts["train"] | texts["train-open"])
    assert voices["heldout-voice"] == {"piper"} and not any("piper" in voice for voice in voices["train"])
    assert not texts["heldout-sentences"] & texts["heldout-styles"]


def test_heldout_styles_have_every_sentence_at_every_rate_and_every_level(plans: list[Any]) -> None:
    rows = defaultdict(list)
    for one in plans:
        if one.split == "heldout-styles":
            rows[one.text].append((one.rate, one.energy))
    assert sum(map(len, rows.values())) == 50
    assert all(sorted(column) == [-2, -1, 0, 1, 2] for pairs in rows.values() for column in zip(*pairs, strict=True))
    assert set(Counter(pair for pairs in rows.values() for pair in pairs).values()) == {2}


def test_tags_take_turns_and_enclose_whole_words(plans: list[Any]) -> None:
    rows = [one for one in plans if one.split == "heldout-spans"]
    tags = Counter(stretch.tag for one in rows for stretch in one.stretches if stretch.tag)
    assert tags == {"fast": 5, "slow": 5, "loud": 5, "soft": 5}
    assert all(stretch.text == stretch.text.strip() != "" for one in rows for stretch in one.stretches)


def test_the_prompt_is_another_utterance_of_the_voice(plans: list[Any]) -> None:
    rows = [one for one in plans if one.split == "heldout-voice"]
    assert len(rows) == 10
    assert all(one.prompt.voice == one.voice and one.prompt.text != one.text for one in rows)


def test_short_texts_have_one_to_three_words() -> None:
    stream = ShortTexts(0)
    sizes = Counter(len(stream.draw().split()) for _ in range(60))
    assert set(sizes) == {1, 2, 3} and min(sizes.values()) > 8


def test_tagging_loses_no_word_even_of_two_words() -> None:
    import random

    for text in ("stop now", "a b c d", "turn on the lamp in the kitchen"):
        for seed in range(30):
            stretches = tagged(text, ["fast", "loud"], random.Random(seed))
            assert " ".join(words for words, _ in stretches) == text
            assert 1 <= sum(bool(tag) for _, tag in stretches) <= 2


def test_the_open_vocabulary_is_wide_and_another() -> None:
    assert len(open_grammar().words()) >= 300


@pytest.mark.parametrize("energy", [-2, -1, 0, 1, 2])
def test_every_row_is_as_loud_as_its_style_says(energy: int) -> None:
    audio, _ = speak(plan("a", "train", "turn off the fan", VOICE, energy=energy))
    assert speech_level(audio, RATE) == pytest.approx(LEVEL + GAINS[energy], abs=0.3)
    assert np.abs(audio).max() < 1


def test_rates_are_in_order() -> None:
    lengths = [len(speak(plan("a", "train", "turn off the radio", VOICE, rate=rate))[0]) for rate in range(-2, 3)]
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) == 5


def test_a_span_lies_where_its_words_are_said() -> None:
    stretches = [("turn off", ""), ("the radio", "loud"), ("in the office", "")]
    audio, bounds = speak(plan_tagged("a", "train", stretches, VOICE))
    (_, before), (start, end), (after, last) = bounds
    assert before < start < end < after < last < len(audio)
    assert speech_level(audio[start:end], RATE) - speech_level(audio[: start - 100], RATE) == pytest.approx(12, abs=0.5)
    assert not audio[before:start].any() and not audio[end:after].any()
    alone, _ = speak(plan("a", "train", "the radio", VOICE, energy=2))
    margin = round(styles_audio.MARGIN * RATE)
    assert np.array_equal(alone[margin:-margin], audio[start:end])


def test_a_build_is_repeatable_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    first, second = _build(tmp_path / "one/audio"), _build(tmp_path / "two/audio")
    assert [_digest(item) for item in first] == [_digest(item) for item in second]
    assert [item.custom for item in first] == [item.custom for item in second]
    written = first[2].audio.stat().st_mtime_ns
    first[3].audio.unlink()
    again = _build(tmp_path / "one/audio")
    assert [item.custom for item in again] == [item.custom for item in first]
    assert again[3].audio.exists() and first[2].audio.stat().st_mtime_ns == written


def test_items_say_what_they_are(tmp_path: Path) -> None:
    items = _build(tmp_path)
    assert len(items) == Styles(None, tmp_path, **SMALL).total() == 25
    for item in items:
        assert soundfile.info(item.audio).samplerate == 16000
        assert item.custom["synthetic"] is True and item.custom["licence"]
        assert not item.speaker.endswith("~whisper") and "[" not in item.text
    tagged_ = [item for item in items if item.split == "heldout-spans"]
    seconds = {item.id: soundfile.info(item.audio).duration for item in tagged_}
    assert all(0 < span["start"] < span["end"] < seconds[item.id] for item in tagged_ for span in item.custom["spans"])
    assert all(f"[/{item.custom['spans'][0]['tag']}]" in item.custom["marked"] for item in tagged_)
    cloned = [item for item in items if item.split == "heldout-voice"]
    assert all((tmp_path.parent / item.custom["prompt"]["audio"]).is_file() for item in cloned)


def test_plans_and_samples_are_those_of_corpora_that_were_made_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same settings give the same bytes for ever: a corpus that was cut off goes on with a later version."""

    class Buzz:
        sample_rate = 16000

        def speak(self, text: str, *, speed: float) -> np.ndarray:
            drawn = np.random.default_rng(len(text)).integers(-8000, 8000, round(12000 / speed)) / 32768
            return np.pad(drawn, 3000).astype(np.float32)

    monkeypatch.setattr(styles_audio, "voice", lambda name: Buzz())
    stretches = [("turn off", ""), ("the radio", "loud"), ("in the office", "slow")]
    inline, styled = (
        plan_tagged("a", "train", stretches, "buzz"),
        plan("b", "train", "stop now", "buzz", rate=2, energy=-1),
    )
    assert inline.file == "train/a-f3415ccb0e.flac"
    for one, digest in ((inline, "930d283564d70ff1"), (styled, "348ef6e0a89740bd")):
        samples = np.rint(speak(one)[0] * 32767).astype("<i2")
        assert hashlib.sha256(samples.tobytes()).hexdigest().startswith(digest)


def test_utterances_said_together_are_what_each_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Buzz(Voice):
        sample_rate, licence = 8000, "none"

        def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
            if text == "mute":
                raise OSError("the cable is out")
            size = round(8000 / speed)
            return np.zeros(size) if text == "silent" else np.random.default_rng(len(text)).uniform(-0.3, 0.3, size)

    class Forgetful(Buzz):
        """Leaves out what it cannot say, so that what is left cannot be told apart."""

        def speak_all(self, texts: Sequence[str], *, speeds: Sequence[float] | None = None) -> Any:
            return [one for one in super().speak_all(texts, speeds=speeds) if not isinstance(one, Exception)]

    tags = [("turn off", ""), ("the radio", "loud"), ("in the office", "slow")]
    plans = [
        plan_tagged("a", "train", tags, "buzz"),
        plan_tagged("b", "train", [("on", ""), ("mute", "fast")], "buzz"),
        plan("c", "train", "stop now", "buzz", rate=2, energy=-1),
        plan("d", "train", "silent", "buzz"),
    ]
    for one in (Buzz(), Forgetful()):
        monkeypatch.setattr(styles_audio, "voice", lambda name, one=one: one)
        first, mute, second, silent = styles_audio.speak_all(plans)
        for found, alone in ((first, speak(plans[0])), (second, speak(plans[2]))):
            assert not isinstance(found, Exception) and found[1] == alone[1]
            np.testing.assert_array_equal(found[0], alone[0])
        assert isinstance(silent, styles_audio.BadSpeech) and str(silent) == "silent"
        assert isinstance(mute, Exception) and ("cable" in str(mute) or "0 times" in str(mute))


def test_the_metric_of_tags_knows_what_they_change() -> None:
    assert dict(UP_OR_DOWN) == {tag: (scale, level // 2) for tag, (scale, level) in TAGS.items() if scale != "pitch"}


def test_bad_speech_is_rejected_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        sample_rate, licence = 16000, "none"

        def speak(self, text: str, *, speed: float) -> np.ndarray:
            return {"silent": np.zeros(16000, np.float32), "click": _click()}[text]

    monkeypatch.setattr(styles_audio, "voice", lambda name: Broken())
    for text, reason in (("silent", "silent"), ("click", "too loud for its level")):
        found = styles_audio.make(plan("a", "train", text, "broken", energy=2), tmp_path)
        assert isinstance(found, Rejected) and reason in found.reason
    assert not list(tmp_path.rglob("*.flac"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"unseen_voice": "hibari"}, "also a training voice"),
        ({"short": 1.5}, "between 0 and 1"),
        ({"inline": 0.7, "whisper": 0.5}, "together at most 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(StentorError, match=told):
        Styles(None, Path("unused"), **options)


def _click() -> np.ndarray:
    audio = np.full(16000, 0.001, np.float32)
    audio[8000] = 0.9
    return audio


def _build(folder: Path) -> list[Item]:
    found = list(Styles(None, folder, **SMALL).items())
    assert all(isinstance(each, Item) for each in found)
    return found  # type: ignore[return-value]


def _digest(item: Item) -> str:
    return hashlib.sha256(item.audio.read_bytes()).hexdigest()
