"""Preference data: fields that are checked, margins, samples of a run, TRL's format, log-probabilities in rows."""

import json
import math

import pytest
import tiny

from stentor.cli import main
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor.train import load
from stentor.train.assembly import assemble
from stentor_align.preferences import fields, sampling, trl
from stentor_align.preferences.selecting import Selection, select

ROW = Utterance("row", "", 1.0, 0, text="abc", custom={"instruction": "say", "given": "abc"})


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return str(tiny.kept(tmp_path_factory.mktemp("parent") / "run"))


def test_pairs_of_fields():
    assert fields.pairs({}) == []
    (pair,) = fields.pairs({"chosen": "a", "rejected": {"text": "b", "score": 1}})
    assert pair.chosen == {"text": "a"} and math.isnan(pair.margin)
    ranked = [{"text": "a", "score": 5.0}, {"text": "b", "score": 3.0}, {"tokens": [1], "score": 1.5}]
    found = fields.pairs({"ranked": ranked}, margin=1.5)
    assert [(one.chosen["score"], one.rejected["score"]) for one in found] == [(5, 3), (5, 1.5)]
    assert len(fields.pairs({"ranked": ["a", "b", "c"]}, margin=9)) == 3, "what has no scores has no margin"


@pytest.mark.parametrize(
    "custom",
    [
        {"chosen": "a"},
        {"chosen": "a", "rejected": 3},
        {"chosen": "a", "rejected": {"txt": "b"}},
        {"chosen": "a", "rejected": {"score": 1.0}},
        {"chosen": "a", "rejected": {"tokens": [1.5]}},
        {"chosen": "a", "rejected": {"tokens": [True]}},
        {"chosen": "a", "rejected": {"text": "b", "score": math.nan}},
        {"ranked": "abc"},
        {"ranked": [{"text": "a", "score": 1.0}, {"text": "b", "score": 2.0}]},
    ],
)
def test_fields_that_are_wrong_are_refused(custom):
    with pytest.raises(StentorError):
        fields.pairs(custom)


def candidates(*scores):
    return [{"text": f"{n}", "score": score} for n, score in enumerate(scores)]


@pytest.mark.parametrize(("margin", "scale"), [(3, 5), (8, 10)])
def test_margins_are_strict(margin, scale):
    """More than 3 points of 5 and more than 8 of 10, as in arXiv 2511.03601."""
    (kept,) = select(ROW, candidates(1, scale - 1, 2, 1 + margin + 0.5), Selection(margin))
    assert kept.custom["chosen"]["score"] - kept.custom["rejected"]["score"] > margin
    (dropped,) = select(ROW, candidates(1, 2, 1 + margin), Selection(margin))
    assert isinstance(dropped, Rejected) and f"not by more than {margin}" in dropped.reason


def test_forms_of_preferences():
    scores = candidates(2, math.nan, 5, 4)
    (ranked,) = select(ROW, scores, Selection(0, "ranked"))
    assert [one["score"] for one in ranked.custom["ranked"]] == [5, 4, 2] and ranked.custom["given"] == "abc"
    found = select(ROW, scores, Selection(1, "all"))
    assert [(one.id, one.custom["chosen"]["score"], one.custom["rejected"]["score"]) for one in found] == [
        ("row-0", 5, 2), ("row-1", 4, 2)]  # fmt: skip
    same = [{"text": "a", "score": 1.0}, {"text": "a", "score": 9.0}, {"text": "b"}]
    (dropped,) = select(ROW, same, Selection())
    assert "too few different responses" in dropped.reason


def test_samples_of_a_run_become_preferences(parent, tmp_path, capsys):
    prompts = tiny.manifest(tmp_path, [("abc", {}), ("fed", {}), ("cab", {})])
    reward = tmp_path / "reward.yaml"
    reward.write_text("name: composite\nparts: {start: {reward: {name: format, pattern: 'a.*'}, weight: 5}}\n")
    out = tmp_path / "pairs.jsonl.gz"
    build = ["preferences", "build", parent, str(prompts), "--reward", str(reward), "-o", str(out)]
    assert main([*build, "--samples", "16", "--margin", "3"]) == 0
    rows = manifest.load(out)
    assert rows and all(row.custom["chosen"]["text"].startswith("a") for row in rows)
    assert not any(row.custom["rejected"]["text"].startswith("a") for row in rows)
    told = capsys.readouterr().out
    assert f"{len(rows)} rows; {3 - len(rows)} dropped" in told
    samples = (tmp_path / "pairs.samples.jsonl").read_text()
    first = out.read_bytes()
    (tmp_path / "pairs.samples.jsonl").write_text(samples[: len(samples) // 2])  # as a kill would leave it
    assert main([*build, "--samples", "16", "--margin", "3"]) == 0
    assert out.read_bytes() == first
    capsys.readouterr()
    assert main([*build, "--samples", "4", "--margin", "9"]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert "nothing is kept of 3 prompts" in told and "3 dropped; scores too close: " in told and "earlier call" in told
    assert out.read_bytes() == first, "what an earlier call has written is not lost"
    assert len((tmp_path / "pairs.dropped.jsonl").read_text().splitlines()) == 3


def test_a_reward_is_checked_before_anything_is_loaded(parent, tmp_path, capsys):
    prompts = str(tiny.manifest(tmp_path, [("abc", {})]))
    wrong = tmp_path / "reward.yaml"
    wrong.write_text("name: format\npatern: x\n")
    for given, told in ((str(wrong), "pattern"), ("fromat", "format")):
        assert main(["preferences", "build", parent, prompts, "--reward", given, "-o", str(tmp_path / "o.jsonl")]) != 0
        assert told in capsys.readouterr().err


def test_log_probs_in_the_manifest_are_those_of_the_frozen_reference(parent, tmp_path):
    pairs = [("abc", {"chosen": "abc", "rejected": "cba"}), ("fed", {"ranked": ["fed", "fe", "f"]})]
    train, out = tiny.manifest(tmp_path, pairs), tmp_path / "scored.jsonl.gz"
    assert main(["preferences", "score", parent, str(train), "-o", str(out)]) == 0
    rows = {row.id: row.custom for row in manifest.load(out)}
    assert len(rows["train-0"]["chosen"]["log_probs"]) == 4 and len(rows["train-1"]["ranked"]) == 3
    given = tiny.batch("abc", "fed")
    given["custom"] = [rows["train-0"], rows["train-1"]]
    losses = []
    for reference in ("frozen", "manifest"):
        task = assemble({"task": {"name": "dpo", "run": parent, "reference": reference}}, texts=[])
        task.load_pretrained()
        losses.append(float(task.train().training_loss(given).value.detach()))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_to_trl_and_back(tmp_path, capsys):
    pairs = [
        ("abc", {"chosen": {"text": "abc", "score": 2.0}, "rejected": "cba"}),
        ("xyz", {"ranked": ["x", "y", "z"]}),
    ]
    source = tiny.manifest(tmp_path, pairs)
    there, back = tmp_path / "trl.jsonl", tmp_path / "back.jsonl.gz"
    assert main(["preferences", "export", str(source), "-o", str(there)]) == 0
    lines = [json.loads(line) for line in there.read_text().splitlines()]
    assert len(lines) == 4 and lines[0] == {
        "id": "train-0",
        "prompt": [{"role": "user", "content": "say\nabc"}],
        "chosen": [{"role": "assistant", "content": "abc"}],
        "score_chosen": 2.0,
        "rejected": [{"role": "assistant", "content": "cba"}],
    }
    for number, line in enumerate(lines):
        line["id"] = f"line-{number}"
    there.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"chosen": "a"}\nnonsense\n')
    assert main(["preferences", "import", str(there), "-o", str(back)]) == 0
    assert "4 rows; 2 dropped" in capsys.readouterr().out
    rows = manifest.load(back)
    assert rows[0].custom == {"instruction": "say\nabc", "chosen": {"text": "abc", "score": 2.0},
                              "rejected": {"text": "cba"}}  # fmt: skip
    assert [next(trl.exported(row))["prompt"] for row in rows] == [line["prompt"] for line in lines]


def test_an_implicit_prompt_and_several_turns():
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes?"},
        {"role": "user", "content": "sing"},
    ]
    answers = [[*turns, {"role": "assistant", "content": text}] for text in ("la", "no")]
    row = trl.imported({"chosen": answers[0], "rejected": answers[1]}, "n")
    assert row.id == "n" and row.custom["instruction"] == "sing" and row.custom["messages"] == turns
    (line,) = trl.exported(row)
    assert line["prompt"] == turns and line["rejected"] == answers[1][-1:]
    with pytest.raises(StentorError, match="no text"):
        list(trl.exported(Utterance("a", "", 1.0, 0, custom={"chosen": {"tokens": [1]}, "rejected": "b"})))


def test_trl_reads_what_is_exported(tmp_path):
    trl_data = pytest.importorskip("trl.data_utils")
    (line,) = trl.exported(Utterance("a", "", 1.0, 0, custom={"instruction": "say", "chosen": "x", "rejected": "y"}))
    assert trl_data.is_conversational(line)


def test_samples_do_not_depend_on_where_a_call_was_stopped(parent, tmp_path):
    from stentor.plugins import registry
    from stentor_align.rollout import SamplingSettings

    policy, reward = load(parent)[1], registry().build("reward", "format", pattern="a.*")
    rows = [Utterance(f"r{n}", "", 1.0 + n, 0, text="abc", custom=ROW.custom) for n in range(5)]
    options = {"samples": 2, "settings": SamplingSettings(), "progress": False}
    whole, begun = sampling.Samples(tmp_path / "a", "x"), sampling.Samples(tmp_path / "b", "x")
    assert sampling.sample(policy, rows, reward, whole, **options) == []
    begun.add({"r4": whole.known["r4"]})
    sampling.sample(policy, rows, reward, begun, **options)
    assert begun.known == whole.known == sampling.Samples(tmp_path / "a", "x").known
    assert sampling.Samples(tmp_path / "a", "y").known == {}
