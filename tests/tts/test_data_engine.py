"""The data engine: texts to takes to a corpus, reasons counted, kills survived."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from stentor import cli
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.data.voices import named
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor.interfaces.metric import Spoken
from stentor.interfaces.voice import Voice
from stentor.plugins import registry
from stentor_tts.engine import engine, settings, texts, work
from stentor_tts.engine.interfaces import Filter, Rewriter, Verdict
from stentor_tts.engine.journal import Journal
from stentor_tts.engine.settings import EngineSettings
from stentor_tts.engine.texts import Job
from stentor_tts.engine.work import Task, carry_out

VOICE = "espeak:en-us+steph"
TEXTS = ["turn off the lamp", "w", "what is the price of two tickets", "wake me at seven", "lock the door"]
STRICT = [{"name": "duration", "slowest": 8.0, "fastest": 35.0, "allowance": 0.2}]

pytest.importorskip("espeakng_loader")


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join([*TEXTS, "", "w", "\x01", "...", "x" * 500]) + "\n")
    return str(path)


def made(source: str, folder: Path, execute: Any = None, **options: Any) -> tuple[Any, Any]:
    how = EngineSettings(**{"voices": (VOICE,), "valid": 0.0, "group": 2, "filters": STRICT, **options})
    return engine.synthesise([source], folder, how, execute or engine.here(1), progress=False)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: gzip.decompress(file.read_bytes()) for file in folder.glob("*.jsonl.gz")}


def test_a_corpus_with_counts_and_reasons(source: str, tmp_path: Path) -> None:
    summary, funnel = made(source, tmp_path / "out")
    rows = manifest.load(tmp_path / "out/train.jsonl.gz")
    assert len(rows) + funnel.stages[1].rejected == 5 == funnel.stages[0].entered
    assert funnel.stages[1].reasons == {"too long for its text": 1} and "w" not in [row.text for row in rows]
    assert funnel.texts == {"characters that are no text": 1, "nothing to say": 1, "too long": 1}
    assert all(row.custom["synthetic"] and row.custom["quality"]["characters_per_second"] > 8 for row in rows)
    assert all(row.speaker == VOICE and row.sample_rate == 16000 for row in rows)
    quarantined = [json.loads(line) for line in (tmp_path / "out/quarantine.jsonl").open()]
    assert any("duration: too long for its text" in one["reason"] and "'w'" in one["reason"] for one in quarantined)
    told = json.loads((tmp_path / "out/summary.json").read_text())
    assert told["engine"]["kept"] == 4 and told["rejected"] == {"duration": 1, "text": 3}
    assert told["settings"]["filters"] == STRICT and summary.splits["train"].utterances == 4


def test_a_run_that_was_killed_loses_one_group_and_ends_with_the_same_files(source: str, tmp_path: Path) -> None:
    def killed(tasks: Any) -> Any:
        for number, task in enumerate(tasks):
            if number == 1:
                raise KeyboardInterrupt
            yield task, carry_out(task)

    worked: list[Task] = []

    def noting(tasks: Any) -> Any:
        for task in tasks:
            worked.append(task)
            yield task, carry_out(task)

    made(source, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        made(source, tmp_path / "cut", killed)
    with (tmp_path / "cut" / engine.TAKES).open("ab") as file:
        file.write(b'["half a li')
    made(source, tmp_path / "cut", noting)
    assert [len(task.jobs) for task in worked] == [2, 1]
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    made(source, tmp_path / "cut", noting)
    assert len(worked) == 2


def test_other_filters_judge_anew_and_speak_nothing_anew(source: str, tmp_path: Path, monkeypatch: Any) -> None:
    made(source, tmp_path)
    monkeypatch.setattr(work, "speak_all", lambda plans: pytest.fail("spoken again"))
    _, funnel = made(source, tmp_path, filters=[])
    assert funnel.kept == 5


def test_results_that_come_in_another_order_change_nothing(source: str, tmp_path: Path) -> None:
    made(source, tmp_path / "one")
    made(source, tmp_path / "two", lambda tasks: [(task, carry_out(task)) for task in list(tasks)[::-1]])
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_cluster_gives_the_same_corpus(source: str, tmp_path: Path, monkeypatch: Any) -> None:
    class Remote:
        def __init__(self, function: Any) -> None:
            self.function = function

        def remote(self, task: Task) -> bytes:
            return pickle.dumps((self.function, task))

    def get(reference: bytes) -> Any:
        function, task = pickle.loads(reference)
        return function(task)

    fake = ModuleType("ray")
    told = {"init": lambda **_: None, "remote": Remote, "cluster_resources": lambda: {"CPU": 1.0}, "get": get}
    told["wait"] = lambda waiting, num_returns: (waiting[-1:], waiting[:-1])
    vars(fake).update(told)
    monkeypatch.setitem(sys.modules, "ray", fake)
    made(source, tmp_path / "here")
    made(source, tmp_path / "there", engine.on_ray("head:6379"))
    assert content(tmp_path / "here") == content(tmp_path / "there")


class Teacher(Voice):
    """Hums as long as a text is; what it cannot say it raises, what it was asked it notes."""

    sample_rate, licence = 16000, "none"
    groups: ClassVar[list[list[str]]] = []

    def __init__(self, *, fails: str = "", rambles: str = "", together: bool = False) -> None:
        self.fails, self.rambles, self.together = fails, rambles, together

    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        if self.fails and self.fails in text:
            raise OSError("the cable is out")
        seconds = 19.0 if self.rambles and self.rambles in text else (0.5 + len(text) / 15) / speed
        return (0.2 * np.sin(np.arange(round(seconds * 16000)) / 20)).astype(np.float32)

    def speak_all(self, texts: Sequence[str], *, speeds: Sequence[float] | None = None) -> list[np.ndarray | Exception]:
        self.groups.append(list(texts))
        if not self.together:
            return super().speak_all(texts, speeds=speeds)
        return [self.speak(text, speed=speed) for text, speed in zip(texts, speeds or [], strict=True)]


@pytest.fixture
def teacher() -> Iterator[type[Teacher]]:
    """A teacher that counts what it is asked, registered as ``teacher``."""
    saved = registry().snapshot()
    registry().add("voice", "teacher", f"{__name__}:Teacher")
    Teacher.groups.clear()
    named.voice.cache_clear()
    work.example.cache_clear()
    yield Teacher
    registry().restore(saved)


@pytest.mark.parametrize("together", ["false", "true"])
def test_what_a_voice_cannot_say_costs_its_own_take(
    source: str, tmp_path: Path, teacher: type[Teacher], together: str
) -> None:
    voices = (f"teacher:fails=price,together={together}",)
    _, funnel = made(source, tmp_path, filters=[], voices=voices, group=8)
    assert funnel.kept == 4 and funnel.stages[0].reasons == {"OSError": 1}


def test_a_voice_that_rambles_costs_its_own_takes(source: str, tmp_path: Path, teacher: type[Teacher]) -> None:
    _, funnel = made(source, tmp_path, filters=[], voices=("teacher:rambles=ic",), group=8)
    assert funnel.kept == 4 and funnel.stages[0].reasons == {"too short or too long": 1}
    assert work.example("teacher:rambles=ic", str((tmp_path / "audio").resolve())) is None


def test_a_voice_says_the_takes_of_a_group_together_and_none_twice(
    source: str, tmp_path: Path, teacher: type[Teacher]
) -> None:
    voices = ("teacher:fails=no", "teacher:fails=nothing")
    how = {"filters": [], "voices": voices, "takes": 0, "styled": 0.5}
    made(source, tmp_path / "alone", group=1, **how)
    assert {len(group) for group in teacher.groups} == {1}
    teacher.groups.clear()
    made(source, tmp_path / "cut", group=8, **how)
    assert [len(group) for group in teacher.groups[2:]] == [4, 4, 1, 1]  # after the examples
    assert content(tmp_path / "cut") == content(tmp_path / "alone")
    written = sorted((tmp_path / "cut").rglob("*.flac"))
    assert [one.read_bytes() for one in written] == [
        one.read_bytes() for one in sorted((tmp_path / "alone").rglob("*.flac"))
    ]
    lost = next(one for one in written if "train-" in one.name)
    lost.unlink()
    (tmp_path / "cut" / engine.TAKES).unlink()
    teacher.groups.clear()
    made(source, tmp_path / "cut", group=8, **how)
    assert [len(group) for group in teacher.groups] == [1] and lost.exists()


def test_a_voice_that_cannot_speak_at_all_is_told_before_anything_is_made(source: str, tmp_path: Path) -> None:
    with pytest.raises(StentorError, match="this voice cannot say a plain sentence"):
        made(source, tmp_path, voices=("espeak:no-such-tongue",))
    with pytest.raises(StentorError, match="no voice 'espek'"):
        made(source, tmp_path, voices=("espek",))


class Politely(Rewriter):
    """Somebody else's rewriter."""

    def rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        return [[f"{text} thank you"] for text in texts]


class NoDoors(Filter):
    """Somebody else's filter.

    Args:
        word: what is not wanted.
    """

    def __init__(self, *, word: str = "door") -> None:
        self.word = word

    def judge(self, takes: Sequence[Spoken]) -> list[Verdict]:
        return [Verdict(f"a {self.word} is in it" if self.word in take.text else "") for take in takes]


def test_what_a_stranger_registers_takes_part(source: str, tmp_path: Path) -> None:
    saved = registry().snapshot()
    try:
        registry().add("rewriter", "politely", f"{__name__}:Politely")
        registry().add("filter", "no-doors", f"{__name__}:NoDoors")
        how = {"rewrite": [{"name": "politely"}], "filters": [{"name": "no-doors", "word": "lamp"}]}
        _, funnel = made(source, tmp_path, **how)
    finally:
        registry().restore(saved)
    assert funnel.stages[1].reasons == {"a lamp is in it": 1} and funnel.kept == 4
    assert all(row.text.endswith("thank you") for row in manifest.load(tmp_path / "train.jsonl.gz"))


class Touchy(Rewriter):
    """Fails on prices, and with them on whatever it gets at the same time."""

    def rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        if any("price" in text for text in texts):
            raise ValueError("no prices")
        return [[text] for text in texts]


class Squeamish(Filter):
    """Fails on doors."""

    def judge(self, takes: Sequence[Spoken]) -> list[Verdict]:
        if any("door" in take.text for take in takes):
            raise RuntimeError("a door\nfell shut")
        return [Verdict("", {"fine": 1.0}) for _ in takes]


def test_what_a_rewriter_or_a_filter_fails_on_costs_itself_alone(source: str, tmp_path: Path) -> None:
    saved = registry().snapshot()
    try:
        registry().add("rewriter", "touchy", f"{__name__}:Touchy")
        registry().add("filter", "squeamish", f"{__name__}:Squeamish")
        _, funnel = made(source, tmp_path, rewrite=[{"name": "touchy"}], filters=[{"name": "squeamish"}])
    finally:
        registry().restore(saved)
    assert funnel.texts["ValueError"] == 1 and funnel.stages[1].reasons == {"RuntimeError": 1} and funnel.kept == 3
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "quarantine.jsonl").open()]
    assert any("squeamish: RuntimeError: a door fell shut (" in one for one in reasons)
    assert "text: ValueError: no prices (rewriting 'what is the price of two tickets')" in reasons
    assert all(row.custom["quality"] == {"fine": 1.0} for row in manifest.load(tmp_path / "train.jsonl.gz"))


def test_takes_are_dealt_out_by_text_and_seed_alone() -> None:
    how = EngineSettings(voices=("a", "b", "c"), takes=2, styled=0.5, valid=0.3)
    many = list(texts.jobs([f"text {number}" for number in range(40)], how))
    few = list(texts.jobs(["text 7", "text 3"], how))
    assert [one for one in many if one.text == "text 7"] == few[:2]
    assert len(many) == 80 and {len({job.voice for job in many if job.text == one.text}) for one in many} == {2}
    assert 5 < sum(job.split == "valid" for job in many) < 45
    assert 20 < sum((job.rate, job.energy) != (0, 0) for job in many) < 60
    other = list(texts.jobs(["text 7"], EngineSettings(voices=("a", "b", "c"), takes=2, styled=0.5, seed=1)))
    assert [job.voice for job in other] + [job.rate for job in other] != [j.voice for j in few] + [j.rate for j in few]


def test_all_forms_of_a_text_stay_in_one_split_and_each_take_is_made_once() -> None:
    rewrite = [{"name": "alternatives", "most": 8}, {"name": "written", "forms": ("plain", "sentence")}]
    how = EngineSettings(voices=("a", "b"), takes=0, rewrite=rewrite, valid=0.5)
    jobs = [job for job in texts.jobs(["turn [on | off] it", "turn on it"], how) if isinstance(job, Job)]
    assert {job.text for job in jobs} == {"turn on it", "turn off it", "Turn on it.", "Turn off it."}
    assert len({job.id for job in jobs}) == len(jobs)
    assert len({job.split for job in jobs if job.source == "turn [on | off] it"}) == 1


def test_texts_out_of_manifests(tmp_path: Path) -> None:
    told = {"id": "a", "recording_id": "a", "start": 0, "duration": 1, "text": "hello there"}
    cut = {"id": "a", "start": 0, "duration": 1, "channel": 0, "type": "MonoCut", "supervisions": [told]}
    manifest.save(tmp_path / "m.jsonl", [Utterance("b", str(tmp_path / "b.wav"), 1.0, 16000, frames=16000)])
    bare = (tmp_path / "m.jsonl").read_text().strip()
    (tmp_path / "m.jsonl").write_text("\n".join([json.dumps(cut), bare, "{broken"]) + "\n")
    said, empty, broken = texts.read([str(tmp_path / "m.jsonl")])
    assert said == "hello there" and isinstance(empty, Rejected) and isinstance(broken, Rejected)
    assert "'b'" in empty.where and empty.reason == "text: none in this row"
    assert broken.where.endswith("m.jsonl:3") and broken.reason.startswith("text: ")


def test_of_texts_that_are_all_bad_the_reasons_are_kept(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text("{broken\n[]\n")
    with pytest.raises(StentorError, match=r"no text is left of it. The first of 2 reasons: .*m.jsonl:1: text: "):
        made(str(tmp_path / "m.jsonl"), tmp_path / "out")
    assert len((tmp_path / "out/quarantine.jsonl").read_text().splitlines()) == 2
    assert [path.name for path in (tmp_path / "out").iterdir() if "plan" in path.name] == []


def test_what_cannot_be_said_is_told() -> None:
    found = list(texts.jobs([Rejected("a:1", "text: too long: 500 characters")], EngineSettings(voices=("a",))))
    assert found == [Rejected("a:1", "text: too long: 500 characters")]


def test_settings_tell_every_fault_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text("voices: [hibari]\ntakes: -1\nfilters:\n  - name: duratoin\n  - name: speech\n    shares: 0.5\n")
    with pytest.raises(StentorError) as caught:
        settings.read(path, {})
    told = str(caught.value)
    assert "engine.yaml:4" in told and "duration" in told and "engine.yaml:6" in told and "shares" in told
    with pytest.raises(StentorError, match="takes"):
        settings.read(None, {"takes": -1})


def test_settings_from_yaml_with_options_over_them(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text("voices: [hibari, 'espeak:en-us']\ntakes: 2\nfilters: [duration, {name: speech, share: 0.5}]\n")
    how = settings.read(path, {"takes": 0})
    assert how.voices == ("hibari", "espeak:en-us") and how.takes == 0
    assert [one["name"] for one in how.filters] == ["duration", "speech"] and how.filters[1]["share"] == 0.5


def test_nothing_to_say_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(StentorError, match="nothing to say"):
        made(str(tmp_path / "empty.txt"), tmp_path / "out")
    with pytest.raises(StentorError, match="cannot be read"):
        made(str(tmp_path / "gone.txt"), tmp_path / "out")


def test_from_the_command_line(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"set a timer for 5 minutes\nw\n")))
    words = ["synthesise", "-", "-o", str(tmp_path), "--voice", VOICE, "--rewrite", "spoken:keep=true", "--valid", "0"]
    assert cli.main([*words, "--filter", "duration:slowest=8", "--top", "2"]) == 0
    told = capsys.readouterr().out
    assert "duration" in told and "1 x too long for its text" in told
    assert {row.text for row in manifest.load(tmp_path / "train.jsonl.gz")} == {
        "set a timer for 5 minutes", "set a timer for five minutes"}  # fmt: skip
    page = (tmp_path / "report.html").read_text()
    assert "too long for its text" in page and page.count("<audio") == 3


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("duration:slow=3", "slowest"),
        ("duration:slowest=quick", "slowest"),
        ("durations", "duration"),
        ("duration:8", "name=value"),
    ],
)
def test_misspelt_filters_are_told(word: str, told: str, source: str, tmp_path: Path, capsys: Any) -> None:
    assert cli.main(["synthesise", source, "-o", str(tmp_path / "out"), "--filter", word]) == 2
    assert told in capsys.readouterr().err


def test_a_journal_survives_a_torn_line(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.add("one", {"a": 1})
        journal.add("two", ["ü"])
    with (tmp_path / "j").open("ab") as file:
        file.write(b'["three", {"a"')
    with Journal(tmp_path / "j") as journal:
        assert "three" not in journal and journal.get("two") == ["ü"]
        journal.add("three", 3)
        assert journal.get("one") == {"a": 1}
    with Journal(tmp_path / "j") as journal:
        assert journal.get("three") == 3
