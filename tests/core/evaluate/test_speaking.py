"""Evaluation of a task that speaks: files, metrics of audio, the set's own audio beside it, and resuming."""

import json
import re

import pytest
import torch
from speaking import RATE, TEXTS, Echo, corpus, register, run

from stentor.data import audio, manifest
from stentor.errors import StentorError
from stentor.evaluate.settings import OverTruth
from stentor.evaluate.speaking import file_name, prompt_of
from stentor.evaluate.subjects import settings_of
from stentor.evaluate.table import footnotes, table, truths, verdicts
from stentor.interfaces.task import Task
from stentor.train.validation import text_metrics

register()


@pytest.fixture
def path(tmp_path):
    return corpus(tmp_path)


def test_what_is_said_lies_beside_the_result_and_is_measured(path, tmp_path):
    result = run(Echo(), path, tmp_path, ["loudness", "gap"], targets={"held-out": {"loudness": 0.1}})
    rows = {row["id"]: row for row in result["utterances"]}
    said = audio.read(tmp_path / "run/evaluation" / rows["u/1"]["output_audio"])
    assert rows["u/1"]["output_seconds"] == pytest.approx(len(said) / RATE) == rows["u/1"]["duration"]
    assert rows["u/1"]["notes"]["loud"] == pytest.approx(0.127, abs=0.002)
    loud, gap = result["metrics"]["loudness"], result["metrics"]["gap"]
    assert loud["value"] == pytest.approx(0.127, abs=0.002) and loud["met"] is True
    assert gap["value"] == pytest.approx(12.7, abs=0.2) and gap["blocks"] == 2 and "blocks" not in loud
    assert json.loads((tmp_path / "run/evaluation/held-out.json").read_text())["utterances"] == result["utterances"]
    assert "blocks" in "\n".join(footnotes([result])) and "LOUDNESS" in table([result])
    assert "that it made" in result["rtf_means"] and result["failed"] == 0


def test_the_same_weights_never_speak_twice(path, tmp_path):
    run(Echo(), path, tmp_path)
    again = Echo()
    run(again, path, tmp_path, ["gap"])
    assert again.calls == []
    next((tmp_path / "run/evaluation/held-out").glob("u_2*")).unlink()
    run(again, path, tmp_path)
    assert again.calls == [["u/2"]], "only what is no longer there is said again"
    run(other := Echo(gain=0.2), path, tmp_path)
    assert len(other.calls) == 2


def test_a_stopped_evaluation_goes_on_where_it_was(path, tmp_path):
    class Stopped(Echo):
        def synthesise(self, batch):
            if self.calls:
                raise KeyboardInterrupt
            return super().synthesise(batch)

    with pytest.raises(KeyboardInterrupt):
        run(Stopped(), path, tmp_path)
    rest = Echo()
    result = run(rest, path, tmp_path)
    assert len(rest.calls) == 1 and result["count"] == len(TEXTS)


def test_the_sets_own_audio_tells_a_target(path, tmp_path):
    over = {"held-out": {"loudness": OverTruth(times=0.5, plus=-0.1)}}
    result = run(Echo(), path, tmp_path, ["loudness", "gap"], truth_targets=over)
    assert result["ground_truth"].keys() == {"loudness"}, "what compares with the reference is not asked about it"
    truth = result["ground_truth"]["loudness"]["value"]
    assert truth == pytest.approx(2 * result["metrics"]["loudness"]["value"], rel=1e-2)
    told = result["metrics"]["loudness"]
    assert told["target"] == pytest.approx(0.5 * truth - 0.1) and told["met"]
    assert "ground truth (0.25)" in verdicts(result)[0] and "met" in verdicts(result)[0]
    assert truths(result)[0].startswith("held-out: ground truth LOUDNESS 0.25")
    row = result["utterances"][0]
    assert row["truth"]["counts"]["loudness"][0] == pytest.approx(truth, rel=1e-2) and row["truth"]["notes"]["loud"]
    with pytest.raises(StentorError, match="no score of the set's own audio"):
        run(Echo(), path, tmp_path, ["gap"], truth_targets={"held-out": {"gap": OverTruth()}})


def test_what_a_judge_hears_is_the_output_of_the_row(path, tmp_path):
    result = run(Echo(breaks=["u/2"]), path, tmp_path, ["ear", "loudness"])
    rows = {row["id"]: row for row in result["utterances"]}
    assert rows["u/1"]["output"] == "open" and rows["u/1"]["counts"]["ear"] == [2, 3]
    assert rows["u/2"]["failure"] == "RuntimeError: no voice" and rows["u/2"]["counts"]["ear"] == [4, 4]
    assert rows["u/2"]["counts"]["loudness"] == [0, 0] and result["failed"] == 1
    assert result["judges"] == {"ear": {"source": "nowhere"}}
    assert result["tables"]["words"]["totals"]["deletion"] == 7


def test_without_a_judge_no_word_counts_as_lost(path, tmp_path):
    result = run(Echo(), path, tmp_path)
    assert result["tables"]["words"]["totals"] == {"substitution": 0, "insertion": 0, "deletion": 0}
    assert result["tables"]["speakers"][0]["utterances"] == len(TEXTS)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (torch.zeros(2, 100), r"no waveform float \[N\], but \(2, 100\)"),
        (torch.zeros(3), "said nothing: 3 samples"),
        (torch.full((800,), float("nan")), "not finite"),
        ([0.0], "but list"),
    ],
)
def test_what_is_no_speech_is_a_failure_and_the_rest_goes_on(path, tmp_path, says, reason):
    result = run(Echo(says=says), path, tmp_path)
    assert result["failed"] == len(TEXTS)
    assert re.search(reason, result["utterances"][0]["failure"])


def test_metrics_have_to_fit_what_the_model_gives(path, tmp_path):
    with pytest.raises(StentorError, match="'wer' scores texts, and this model gives none"):
        run(Echo(), path, tmp_path, ["wer"])

    class Mute(Echo):
        capabilities = frozenset()

    with pytest.raises(StentorError, match="'loudness' measures audio, and this model does not speak"):
        run(Mute(), path, tmp_path)
    with pytest.raises(StentorError, match="does not speak"):
        Task.synthesise(Mute(), {})


def test_a_task_may_give_both(path, tmp_path):
    class Both(Echo):
        def predict(self, batch):
            return list(batch["texts"])

    result = run(Both(), path, tmp_path, ["wer", "ear"])
    assert result["metrics"]["wer"]["value"] == 0 and result["metrics"]["ear"]["value"] > 0
    assert result["utterances"][0]["output"] == TEXTS[0]


def test_a_metric_can_be_configured(path, tmp_path):
    section = {"configured": [{"name": "loudness", "factor": 10.0}]}
    settings = settings_of(section, [])
    result = run(Echo(), path, tmp_path, ["gap"], configured=settings.configured)
    assert result["metrics"]["loudness"]["value"] == pytest.approx(1.27, abs=0.02)
    with pytest.raises(StentorError, match="no setting 'facto'"):
        settings_of({"configured": [{"name": "loudness", "facto": 10.0}]}, [])


def test_prompts_count_from_the_manifest(path):
    rows = manifest.load(path)
    assert prompt_of(rows[0], str(path)) is None
    assert prompt_of(rows[3], str(path)).read(RATE).shape == (RATE // 2,)


def test_every_id_has_a_file_name_of_its_own():
    assert file_name("a-1.b_2") == "a-1.b_2"
    names = {file_name(name) for name in ("a/b", "a_b", "a\\b", "../a_b", ".a_b")}
    assert len(names) == 5 and not any("/" in name or name.startswith(".") for name in names)


def test_validation_while_training_leaves_metrics_of_audio_out():
    assert list(text_metrics(("wer", "loudness", "ear"))) == ["wer"]
