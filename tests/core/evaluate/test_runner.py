"""The evaluation runner with a model that knows the answers, on made audio."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from stentor.data import audio, manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.decoding import batches
from stentor.evaluate.listener import Listener
from stentor.evaluate.runner import Subject, choose_sets, evaluate_set
from stentor.evaluate.settings import EvaluateSettings
from stentor.evaluate.subjects import settings_of
from stentor.evaluate.table import footnotes, table, verdicts

TEXTS = ["turn left at the light", "open the door", "what time is it", "play some music", "stop"]


class Parrot(nn.Module):
    """Says the transcript it was given for an id, with a last word missing where told so."""

    sample_rate = 8000

    def __init__(self, wrong=(), breaks=(), weight=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.full((3,), weight))
        self.wrong, self.breaks, self.calls = wrong, breaks, []

    def predict(self, batch):
        self.calls.append(batch["ids"])
        if set(batch["ids"]) & set(self.breaks):
            raise RuntimeError("no sense in it")
        assert batch["audio"].shape == (len(batch["ids"]), int(batch["audio_lengths"].max()))
        pairs = zip(batch["ids"], batch["texts"], strict=True)
        return [text.rpartition(" ")[0] if name in self.wrong else text for name, text in pairs]

    def align(self, batch, outputs):
        return [[(word, float(n), n + 1.0) for n, word in enumerate(text.split())] for text in outputs]


@pytest.fixture
def path(tmp_path):
    rows = []
    for index, text in enumerate(TEXTS):
        seconds, file = 0.5 + 0.25 * index, tmp_path / f"{index}.wav"
        audio.write(file, np.sin(np.arange(int(seconds * 16000)) / 20).astype(np.float32) * 0.1, 16000)
        told = {"text": text, "speaker": "eve", "custom": {"synthetic": True}}
        rows.append(Utterance(f"u{index}", str(file), seconds, 16000, frames=int(seconds * 16000), **told))
    manifest.save(tmp_path / "set.jsonl.gz", rows)
    return tmp_path / "set.jsonl.gz"


def settings(**changes):
    return EvaluateSettings(**{"bootstrap": 200, "batch_size": 2, "device": "cpu", **changes})


def run(model, path, tmp_path, **changes):
    fresh = changes.pop("fresh", False)
    return evaluate_set(
        Subject(model, tmp_path / "run", "toy"), "held-out", str(path), settings(**changes), fresh=fresh
    )


def test_a_result_says_everything_the_report_needs(path, tmp_path):
    result = run(Parrot(wrong=["u1"]), path, tmp_path, targets={"held-out": {"wer": 3.0}})
    wer = result["metrics"]["wer"]
    assert (wer["errors"], wer["units"]) == (1, 16)
    assert wer["value"] == pytest.approx(100 / 16) and wer["low"] <= wer["value"] <= wer["high"]
    assert wer["target"] == 3.0 and wer["met"] is False
    assert verdicts(result) == ["held-out: WER 6.25 %, target 3: missed"]
    assert "normaliser" in wer["description"] and result["count"] == 5
    assert result["hours"] == pytest.approx(5.0 / 3600) and result["rtf"] >= 0 and result["peak_memory_mb"] > 10
    row = {row["id"]: row for row in result["utterances"]}["u1"]
    assert row["output"] == "open the" and row["counts"]["wer"] == [1, 3] and row["synthetic"]
    assert row["alignment"] == [["open", 0.0, 1.0], ["the", 1.0, 2.0]]
    assert json.loads((tmp_path / "run/evaluation/held-out.json").read_text())["utterances"] == result["utterances"]


def test_what_was_decoded_is_not_decoded_again(path, tmp_path):
    run(Parrot(), path, tmp_path)
    again = Parrot()
    result = run(again, path, tmp_path, normaliser="none")
    assert again.calls == [] and result["metrics"]["wer"]["value"] == 0
    other = Parrot(weight=1.0)
    run(other, path, tmp_path)
    assert len(other.calls) == 3, "other weights must not take over outputs"
    run(other, path, tmp_path, fresh=True)
    assert len(other.calls) == 6


def test_a_stopped_evaluation_goes_on_where_it_was(path, tmp_path):
    class Stopped(Parrot):
        def predict(self, batch):
            if len(self.calls) == 1:
                raise KeyboardInterrupt
            return super().predict(batch)

    with pytest.raises(KeyboardInterrupt):
        run(Stopped(), path, tmp_path)
    partial = tmp_path / "run/evaluation/held-out.partial.jsonl"
    partial.write_text(partial.read_text() + '{"id": "u0", "outp')
    model = Parrot()
    result = run(model, path, tmp_path)
    assert sorted(name for call in model.calls for name in call) == ["u0", "u1", "u2"]
    assert result["count"] == 5 and not partial.exists()


def test_a_failing_utterance_costs_only_itself(path, tmp_path):
    model = Parrot(breaks=["u3"])
    result = run(model, path, tmp_path)
    rows = {row["id"]: row for row in result["utterances"]}
    assert rows["u3"]["failure"] == "RuntimeError: no sense in it" and rows["u3"]["counts"]["wer"] == [3, 3]
    assert rows["u4"]["output"] == "stop" and result["failed"] == 1


def test_unreadable_audio_and_missing_text_are_not_scored(path, tmp_path):
    (tmp_path / "0.wav").write_bytes(b"not audio at all")
    rows = manifest.load(path)
    manifest.save(path, [*rows[:-1], Utterance("mute", rows[1].audio, 0.75, 16000, frames=12000)])
    result = run(Parrot(), path, tmp_path)
    reasons = {row["id"]: row["unscored"] for row in result["utterances"] if "unscored" in row}
    assert "0.wav" in reasons["u0"] and "no transcript" in reasons["mute"]
    assert result["count"] == 3 and result["unscored"] == 2 and result["metrics"]["wer"]["value"] == 0


def test_batches_keep_their_budget_and_lose_nothing():
    utterances = [Utterance(str(n), "", 0.5 + n % 7, 16000) for n in range(50)]
    groups = list(batches(utterances, settings(batch_size=8, batch_seconds=20.0)))
    assert sorted(one.id for group in groups for one in group) == sorted(one.id for one in utterances)
    assert all(len(group) * group[0].duration <= 20 and len(group) <= 8 for group in groups)


def test_table_and_footnotes(path, tmp_path):
    result = run(Parrot(wrong=["u1"]), path, tmp_path)
    head, _, line = table([result]).splitlines()
    assert head.split() == ["set", "utterances", "hours", "WER", "CER", "RTF", "memory"]
    assert line.startswith("held-out") and "6.25 [" in line
    assert any("resamples" in note for note in footnotes([result]))


def test_sets_are_chosen_by_name():
    recipe = EvaluateSettings(sets={"a": "a.jsonl", "b": "b.jsonl"})
    assert choose_sets(recipe, {}, []) == {"a": "a.jsonl", "b": "b.jsonl"}
    assert choose_sets(recipe, {"c": "c.jsonl"}, []) == {"c": "c.jsonl"}
    assert choose_sets(recipe, {}, ["b"]) == {"b": "b.jsonl"}
    with pytest.raises(StentorError) as caught:
        choose_sets(recipe, {}, ["bb"])
    assert caught.value.options == ("a", "b")


@pytest.mark.parametrize("name", ["../out", "a/b", "", ".hidden", "x" * 101])
def test_a_set_cannot_name_a_place_outside(name, path, tmp_path):
    with pytest.raises(StentorError, match="set's name"):
        evaluate_set(Subject(Parrot(), tmp_path, "toy"), name, str(path), settings())


def test_settings_can_be_changed_and_typos_are_told():
    with pytest.raises(StentorError, match="not among the sets"):
        settings_of({"sets": {"x": "x.jsonl"}}, ["evaluate.targets.y.wer=2.5"])
    changed = settings_of({"bootstrap": 500}, ["evaluate.bootstrap=900", "evaluate.targets.x.wer=2.5"])
    assert changed.bootstrap == 900 and changed.targets == {"x": {"wer": 2.5}}
    with pytest.raises(StentorError) as caught:
        settings_of({}, ["evaluate.bootstrapp=900", "evaluate.batch_size=two"])
    assert [problem.path for problem in caught.value.problems] == ["evaluate.bootstrapp", "evaluate.batch_size"]
    assert caught.value.suggestion == "bootstrap"


def test_a_recogniser_is_heard_window_by_window(path, tmp_path):
    class Segment:
        def __init__(self, text):
            self.text, self.segments = text, [self]

    class Counting:
        sample_rate, window_seconds = 8000, 0.5

        def recognise(self, windows, request=None):
            assert all(0 < len(window) <= 4000 for window in windows)
            return [Segment(f" {len(window)}") for window in windows]

    result = run(Listener(Counting()), path, tmp_path, normaliser="none")
    outputs = {row["id"]: row["output"] for row in result["utterances"]}
    assert outputs["u0"] == "4000" and outputs["u1"] == "4000 2000" and outputs["u4"] == "4000 4000 4000"
