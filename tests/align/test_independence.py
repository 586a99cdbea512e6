"""Who may judge: not what rewards, whatever its other settings are; the same kind by another model may."""

from pathlib import Path

import pytest
import tiny

from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor.train.assembly import assemble
from stentor_align.tasks import guards

RUN = {"name": "bradley-terry", "run": "runs/reward-model"}
LOCAL = {"name": "policy", "run": "runs/judge"}


def composed(**parts):
    return {"name": "composite", "parts": {name: {"reward": part} for name, part in parts.items()}}


def asked(judge, **options):
    return {"name": "judge", "judge": judge, **options}


@pytest.mark.parametrize(
    ("judge", "reward", "told"),
    [
        ({"name": "wer", "normaliser": "basic"}, {"name": "wer"}, "the same rule"),
        ({"name": "cer"}, {"name": "wer"}, "the same rule"),
        ({"name": "format", "pattern": "a"}, composed(one={"name": "format"}, two={"name": "answer"}), "the same rule"),
        (composed(one="answer"), {"name": "answer", "pattern": "(a)"}, "the same rule"),
        ({**RUN, "scale": 2.0}, RUN, r"the run .*reward-model"),
        ({**RUN, "run": "./runs/reward-model/"}, RUN, r"the run .*reward-model"),
        ({**RUN, "run": str(Path("runs/reward-model").resolve())}, RUN, r"the run .*reward-model"),
        (asked(LOCAL, criterion="Which is warmer?"), asked({**LOCAL, "batch": 2}), r"the run .*judge"),
        (asked(LOCAL), {"name": "bradley-terry", "run": "runs/judge"}, r"the run .*judge"),
        (asked({"name": "openai", "budget": 5}, mode="rubric"), asked({"name": "openai"}), "the same model"),
        (asked("scripted"), asked({"name": "scripted"}), "the same model"),
        ({"name": "intelligibility", "normaliser": "basic"}, {"name": "intelligibility"}, "recogniser moonshine"),
        ({"name": "intelligibility", "recogniser": "moonshine"}, {"name": "intelligibility"}, "another recogniser"),
        ({"name": "dnsmos"}, composed(mos="dnsmos", wer="wer"), "the same rule"),
    ],
)
def test_what_rewards_is_no_judge(judge, reward, told):
    with pytest.raises(StentorError, match=told) as found:
        guards.independent(judge, reward)
    assert found.value.path == "task.judge" and len(found.value.problems) == 1


@pytest.mark.parametrize(
    ("judge", "reward"),
    [
        ({"name": "intelligibility", "recogniser": "whisper"}, {"name": "intelligibility"}),
        ({"name": "format"}, {"name": "wer"}),
        ({"name": "answer"}, composed(length="thought-length", form="format")),
        ({**RUN, "run": "runs/other"}, RUN),
        (asked({**LOCAL, "run": "runs/other"}), asked(LOCAL)),
        (asked({"name": "openai"}), asked(LOCAL)),
        (asked({"name": "openai", "model": "large"}), asked({"name": "openai"})),
        (asked({"name": "openai", "url": "http://other/v1"}), asked({"name": "openai"})),
        ({"name": "dnsmos"}, {"name": "speaker-similarity"}),
    ],
)
def test_another_kind_or_another_model_is_an_outsider(judge, reward):
    guards.independent(judge, reward)
    guards.independent(reward, judge)


class Taught(Reward):
    """A learned reward of somebody who does not say which of its options names the model."""

    nature = "learned"

    def __init__(self, *, weights: str = "") -> None: ...

    def score(self, prompts, responses):
        return Scores(None, {})


def test_a_stranger_that_names_no_model_is_one_opinion(monkeypatch):
    monkeypatch.setattr(registry(), "_entries", dict(registry()._entries))
    registry().add("reward", "taught", f"{__name__}:Taught")
    pair = ({"name": "taught", "weights": "a"}, {"name": "taught", "weights": "b"})
    with pytest.raises(StentorError, match="name another reward"):
        guards.independent(*pair)
    monkeypatch.setattr(Taught, "models", ("weights",))
    guards.independent(*pair)
    with pytest.raises(StentorError, match=r"the same model \(weights a\); name another reward, or another weights"):
        guards.independent(pair[0], pair[0])


def test_a_run_with_such_a_judge_is_refused(tmp_path):
    parent = tiny.kept(tmp_path / "run")
    task = {"name": "grpo", "run": str(parent), "reward": {"name": "format", "pattern": "a.*"}}
    with pytest.raises(StentorError, match="cannot be the judge"):
        assemble({"task": {**task, "judge": {"name": "format", "pattern": "b.*"}}}, texts=[])
