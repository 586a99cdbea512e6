"""Rewriters and filters of the data engine, each alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stentor.data import audio
from stentor.data.voices.named import voice
from stentor.errors import StentorError
from stentor.interfaces.metric import Recording, Spoken
from stentor.plugins import registry
from stentor_tts.engine.filters import Agreement, Duration, MetricBound, Speech
from stentor_tts.engine.rewriters import Alternatives, SpokenForms, Templates, WrittenForms
from stentor_tts.speaking.engine import EngineSpeaker
from stentor_tts.speaking.teacher import RunVoice

RATE = 16000


def take(folder: Path, wave: np.ndarray, text: str = "turn on the lamp", name: str = "a") -> Spoken:
    path = folder / f"{name}.flac"
    audio.write(path, wave.astype(np.float32), RATE)
    return Spoken(name, text, "voice", len(wave) / RATE, Recording(str(path)))


def tone(seconds: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)


def test_alternatives_are_written_out() -> None:
    forms = Alternatives().rewrite(["turn [on | off] the [lamp | [big | small] fan]", "stop"])
    assert forms[1] == ["stop"]
    things = ("lamp", "big fan", "small fan")
    assert sorted(forms[0]) == sorted(f"turn {way} the {thing}" for way in ("on", "off") for thing in things)
    assert len(Alternatives(most=2).rewrite(["[a | b | c | d]"])[0]) == 2


def test_brackets_without_a_choice_stay() -> None:
    assert Alternatives().rewrite(["turn [on] it"]) == [["turn [on] it"]]


def test_many_alternatives_end() -> None:
    assert len(Alternatives(most=4).rewrite(["[a|b|c|d|e|f] " * 30])[0]) == 4


def test_templates_need_one_place() -> None:
    assert Templates(templates=("{text}", "oh {text} {x}")).rewrite(["no"]) == [["no", "oh no {x}"]]
    with pytest.raises(StentorError, match="a template has one"):
        Templates(templates=("please",))


def test_spoken_and_written_forms() -> None:
    assert SpokenForms(keep=True).rewrite(["12 boats", "boats"]) == [["12 boats", "twelve boats"], ["boats"]]
    forms = WrittenForms(forms=("as-is", "plain", "sentence", "question", "capitals"))
    assert forms.rewrite(["it's Here, now"]) == [
        ["it's Here, now", "it's here now", "It's Here now.", "It's Here now?", "IT'S HERE, NOW"]
    ]
    assert WrittenForms().rewrite(["?!"]) == [[]]


def test_duration_fits_the_text(tmp_path: Path) -> None:
    given = [take(tmp_path, tone(seconds), name=str(seconds)) for seconds in (0.3, 1.0, 9.0)]
    reasons = [verdict.reason.partition(":")[0] for verdict in Duration().judge(given)]
    assert reasons == ["too short for its text", "", "too long for its text"]


def test_speech_is_enough_and_has_no_long_pause(tmp_path: Path) -> None:
    quiet = np.zeros(3 * RATE)
    waves = {"speech": tone(2.0), "silent": quiet, "torn": np.concatenate([tone(1.5), quiet[: 2 * RATE], tone(1.5)])}
    found = Speech(vad="energy").judge([take(tmp_path, wave, name=name) for name, wave in waves.items()])
    assert [verdict.reason.partition(":")[0] for verdict in found] == ["", "too little speech", "a long pause"]
    assert found[2].measures["longest_pause"] == pytest.approx(2.0, abs=0.2)


class Parrot:
    """Hears in each window what it was told, and notes how long windows are."""

    sample_rate = RATE

    def __init__(self, *texts: str) -> None:
        self.texts, self.windows = list(texts), []

    def predict(self, batch: dict[str, Any]) -> list[str]:
        self.windows.append(batch["audio"].shape[1] / RATE)
        return [self.texts.pop(0)]


def agreement(parrot: Parrot, **options: Any) -> Agreement:
    judge = Agreement(**options)
    judge._parts = (parrot, registry().build("metric", judge.metric), registry().build("normaliser", "english"))
    return judge


def test_takes_are_heard_joined_and_each_gets_its_own_errors(tmp_path: Path) -> None:
    said = ["turn on the lamp", "lock the door", "wake me at seven"]
    given = [take(tmp_path, tone(1.0), text, text[:4]) for text in said]
    parrot = Parrot("turn on the lamp look a door wake me at 7")
    found = agreement(parrot).judge(given)
    assert [verdict.measures["wer"] for verdict in found] == [0.0, pytest.approx(2 / 3, abs=1e-3), 0.0]
    assert [bool(verdict.reason) for verdict in found] == [False, True, False] and "look a door" in found[1].reason
    assert parrot.windows == [pytest.approx(5.0)]


def test_takes_are_heard_alone_if_asked(tmp_path: Path) -> None:
    given = [take(tmp_path, tone(1.0), "stop", name) for name in "ab"]
    parrot = Parrot("stop", "shop")
    found = agreement(parrot, block=0.0, metric="cer", most=0.5).judge(given)
    assert [verdict.measures["cer"] for verdict in found] == [0.0, 0.25] and not any(v.reason for v in found)
    assert parrot.windows == [pytest.approx(2.0)] * 2


def test_a_metric_is_kept_in_bounds(tmp_path: Path) -> None:
    class Measure:
        unit = "%"

        def measure(self, rows: Any) -> Any:
            return [(0.25, 1.0), (0.5, 1.0), (0.0, 0.0)]

    judge = MetricBound(metric="wer", least=30.0)
    judge._measure = Measure()
    given = [take(tmp_path, tone(1.0), name=name) for name in "abc"]
    assert [verdict.reason for verdict in judge.judge(given)] == ["wer too low: 25.00", "", "wer cannot tell"]
    with pytest.raises(StentorError, match="scores texts"):
        MetricBound(metric="wer").load_pretrained()


def test_a_trained_run_is_a_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("espeakng_loader")
    monkeypatch.setattr("stentor_tts.speaking.teacher.choose", lambda folder, device: EngineSpeaker("espeak:en-us"))
    teacher = voice("run:folder=runs/mine")
    assert isinstance(teacher, RunVoice) and teacher.sample_rate == 22050 and "mine" in teacher.licence
    whole, fast = teacher.speak("turn off the lamp"), teacher.speak("turn off the lamp", speed=2.0)
    assert len(fast) < 0.8 * len(whole) and np.abs(whole).max() > 0.01
    with pytest.raises(StentorError, match="no run is named"):
        RunVoice().speak("stop")
