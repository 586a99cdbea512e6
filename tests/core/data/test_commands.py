"""The synthetic corpus: its text, its splits, its bytes, and what happens to bad speech."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from stentor.data.corpora import commands_audio
from stentor.data.corpora.commands import Commands
from stentor.data.corpora.commands_audio import Plan
from stentor.data.corpora.commands_text import Sentences, grammar, part_of
from stentor.errors import StentorError
from stentor.interfaces.corpus import Item, Rejected

SMALL: dict[str, Any] = {
    "utterances": 6, "valid": 2, "heldout_sentences": 2, "heldout_voice": 2, "workers": 1, "noisy": 0.5,
    "voices": ("espeak:en-us", "espeak:en-us+f2"), "unseen_voice": "espeak:en-us+klatt2",
}  # fmt: skip


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return list(Commands(None, Path("unused")).plans())


def test_every_word_is_learnable_and_there_are_over_300(plans: list[Plan]) -> None:
    heard: Counter[str] = Counter()
    voices = defaultdict(set)
    for plan in plans:
        if plan.split == "train":
            for word in set(plan.text.split()):
                heard[word] += 1
                voices[word].add(plan.voice)
    assert len(grammar().words()) >= 350
    assert min(heard[word] for word in grammar().words()) >= 15
    assert min(len(voices[word]) for word in grammar().words()) >= 3


def test_heldout_sentences_are_unseen_and_made_of_seen_words(plans: list[Plan]) -> None:
    texts = defaultdict(list)
    for plan in plans:
        texts[plan.split].append(plan.text)
    train, heldout = set(texts["train"]), texts["heldout-sentences"] + texts["heldout-voice"]
    assert not train & set(heldout) and not train & set(texts["valid"]) and not set(heldout) & set(texts["valid"])
    assert len(set(heldout)) == len(heldout)
    assert {word for text in heldout for word in text.split()} <= {word for text in train for word in text.split()}
    assert len(texts["heldout-sentences"]) >= 150 and len(texts["heldout-voice"]) >= 100


def test_the_unseen_voice_is_in_no_other_split(plans: list[Plan]) -> None:
    voices = defaultdict(set)
    for plan in plans:
        voices[plan.split].add(plan.voice)
    assert voices["heldout-voice"] == {"piper"}
    assert not voices["train"] & voices["heldout-voice"]
    assert voices["heldout-sentences"] <= voices["train"] and voices["valid"] <= voices["train"]


def test_sentences_have_four_to_nine_words_and_the_hash_decides_whose_they_are() -> None:
    for part in ("train", "valid", "heldout"):
        stream = Sentences(part, 3)
        drawn = [stream.draw() for _ in range(60)]
        assert all(4 <= len(text.split()) <= 9 and part_of(text) == part for text in drawn)


def test_a_seed_fixes_the_plans_and_another_changes_them(plans: list[Plan]) -> None:
    again, other = (list(Commands(None, Path("unused"), seed=seed, utterances=50).plans()) for seed in (0, 1))
    assert again[:50] == plans[:50]
    assert [plan.text for plan in other] != [plan.text for plan in again]


def test_two_builds_are_equal_byte_for_byte_and_two_workers_change_nothing(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    one = _build(tmp_path / "one", **SMALL)
    two = _build(tmp_path / "two", **{**SMALL, "workers": 2})
    assert [item.id for item in one] == [item.id for item in two]
    assert [_digest(item.audio) for item in one] == [_digest(item.audio) for item in two]


def test_items_are_16_khz_int16_and_say_that_they_are_synthetic(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    built = _build(tmp_path, **SMALL)
    assert len(built) == Commands(None, tmp_path, **SMALL).total() == 12
    for item in built:
        header = soundfile.info(item.audio)
        assert (header.samplerate, header.channels, header.subtype) == (16000, 1, "PCM_16")
        assert item.custom["synthetic"] is True and item.custom["engine"] == "espeak"
        assert item.speaker == item.custom["voice"] and 0.85 <= item.custom["speed"] <= 1.2
        assert "snr" not in item.custom or (item.split == "train" and item.custom["snr"] in (10, 15, 20))
    assert any("snr" in item.custom for item in built)


def test_a_build_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader")
    first = _build(tmp_path, **SMALL)
    first[3].audio.unlink()
    spoken = []
    monkeypatch.setattr(commands_audio, "write", _noting(commands_audio.write, spoken))
    assert _build(tmp_path, **SMALL) == first
    assert spoken == [first[3].audio]


@pytest.mark.parametrize(
    ("audio", "reason"),
    [
        (np.zeros(32000, np.float32), "silent"),
        (np.full(1000, 0.3, np.float32), "long"),
        (np.full(16000 * 20, 0.3, np.float32), "long"),
        (np.sign(np.sin(np.arange(32000))).astype(np.float32), "clipped"),
        (np.full(32000, np.nan, np.float32), "not numbers"),
        (RuntimeError("out of memory"), "out of memory"),
    ],
)
def test_bad_speech_is_rejected_with_its_reason(
    audio: Any, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        sample_rate, licence = 16000, "none"

        def speak(self, text: str, *, speed: float) -> np.ndarray:
            if isinstance(audio, Exception):
                raise audio
            return audio

    monkeypatch.setattr(commands_audio, "voice", lambda name: Broken())
    result = commands_audio.make(Plan("train-1", "train", "hello", "broken", 1.0, None, "white", 0), tmp_path)
    assert isinstance(result, Rejected) and reason in result.reason
    assert not list(tmp_path.rglob("*.flac"))


def test_the_heldout_voice_may_not_train() -> None:
    with pytest.raises(StentorError, match="also a training voice"):
        Commands(None, Path("unused"), unseen_voice="hibari")


def test_more_heldout_sentences_than_the_grammar_has_is_one_clear_error() -> None:
    stream = Sentences("valid", 0)
    stream._seen = _Everything()  # type: ignore[assignment]
    with pytest.raises(StentorError, match="no further valid sentences"):
        stream.draw()


class _Everything(set[str]):
    def __contains__(self, _: object) -> bool:
        return True


def _build(folder: Path, **options: Any) -> list[Item]:
    found = list(Commands(None, folder, **options).items())
    assert all(isinstance(each, Item) for each in found)
    return found  # type: ignore[return-value]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _noting(write: Any, seen: list[Path]) -> Any:
    def noted(target: Path, audio: np.ndarray) -> None:
        seen.append(target)
        write(target, audio)

    return noted
