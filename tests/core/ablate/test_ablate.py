"""Grids, cells in processes of their own, comparisons and the report."""

import json
import sys
from pathlib import Path

import made_cells
import pytest

from stentor.ablate import cell, plan, runner, tables
from stentor.ablate.launch import How
from stentor.errors import StentorError

COMMAND = (sys.executable, str(Path(made_cells.__file__)))


def make(folder, *words, baseline=None):
    return plan.make("toy", words, folder, baseline or {})


def in_process(folder, *words, baseline=None):
    """The ablation without launcher and processes."""
    made = make(folder, *words, baseline=baseline)
    runner._claim(made)
    for one in made.cells:
        cell.run(one.folder, made_cells.STEPS)
    return made


def test_the_grid_has_every_combination_once(tmp_path):
    made = make(tmp_path, "encoder=a,b", "adapter=x,y", "train.steps=10", "seed=1,2,3")
    assert len(made.cells) == 12 and len({one.folder for one in made.cells}) == 12
    assert list(made.groups) == [f"encoder={e}, adapter={a}" for e in "ab" for a in "xy"]
    assert all("train.steps=10" in one.overrides for one in made.cells)
    assert [one.seed for one in made.groups["encoder=b, adapter=x"]] == ["1", "2", "3"]
    assert made.baseline == "encoder=a, adapter=x"
    assert made.cells[0].folder.parent == tmp_path / "cells"


def test_folders_hold_no_path_tricks(tmp_path):
    made = make(tmp_path, "data.train=../../etc/x,/etc/y")
    assert all(one.folder.parent == tmp_path / "cells" for one in made.cells)


def test_the_baseline_must_pick_one_group(tmp_path):
    made = make(tmp_path, "encoder=a,b", "adapter=x,y", baseline=plan.parse_baseline(["encoder=b,adapter=y"]))
    assert made.baseline == "encoder=b, adapter=y"
    for wrong in ({"encoder": "b"}, {"encoder": "c"}, {"decoder": "b"}):
        with pytest.raises(StentorError) as caught:
            make(tmp_path, "encoder=a,b", "adapter=x,y", baseline=wrong)
        assert caught.value.path == "--baseline"
    with pytest.raises(StentorError, match="key=value"):
        plan.parse_baseline(["encoder"])


def test_something_must_vary(tmp_path):
    with pytest.raises(StentorError, match="nothing varies"):
        make(tmp_path, "encoder=a")


def test_cells_run_in_processes_and_failures_do_not_stop_the_rest(tmp_path):
    made = make(tmp_path, "encoder=a,bad,crash,b", baseline={"encoder": "a"})
    summary = runner.run(made, How(jobs=2, command=COMMAND))
    errors = {one.label: error for one, error in summary.failed}
    assert "there is no encoder 'bad'" in errors["encoder=bad"]
    assert "exit code 9" in errors["encoder=crash"]
    assert [len(group.runs) for group in summary.groups] == [1, 0, 0, 1]
    page = (tmp_path / "report.html").read_text()
    assert "about to die" in page and "2 of 4 cells have no result" in page
    markdown = (tmp_path / "table.md").read_text()
    assert "| encoder=a (baseline) | 1 |" in markdown and "- encoder=crash: its process ended" in markdown


def test_finished_cells_are_kept_and_others_are_tried_again(tmp_path):
    made = make(tmp_path, "encoder=a,b")
    runner._claim(made)
    cell.run(made.cells[0].folder, made_cells.STEPS)
    runner.run(made, How("basic", command=COMMAND))
    again = runner.run(made, How("basic", command=COMMAND))
    assert [(one.folder / "began.txt").read_text() for one in made.cells] == ["x", "x"]
    assert not again.failed


def test_a_half_trained_cell_is_resumed_and_a_trained_one_only_scored(tmp_path, monkeypatch):
    calls = []

    def resume(_):
        calls.append("resume")
        return True

    def steps(evaluate):
        return cell.Steps(made_cells.compose, lambda *_: calls.append("fit"), resume, evaluate)

    made = make(tmp_path, "encoder=a,b")
    runner._claim(made)
    folder = made.cells[0].folder
    (folder / "config.yaml").write_text("")
    monkeypatch.setattr(cell, "_check_same", lambda *_: None)
    broken = cell.run(folder, steps(lambda _: 1 / 0))
    assert broken == {"status": "failed", "error": "ZeroDivisionError: division by zero"}
    assert cell.run(folder, steps(made_cells.evaluate))["status"] == "done"
    assert calls == ["resume"]


def test_a_stopped_cell_is_no_result(tmp_path):
    made = make(tmp_path, "encoder=a,b")
    runner._claim(made)
    stopping = cell.Steps(made_cells.compose, lambda *_: False, lambda _: False, made_cells.evaluate)
    assert cell.run(made.cells[0].folder, stopping) == {"status": "stopped"}
    assert [error for _, error in runner.write(made).failed] == ["it was stopped", "it has not run"]


def test_comparisons_are_paired_with_the_baseline(tmp_path):
    made = in_process(tmp_path, "encoder=a,b,same", "seed=1,2,3")
    a, b, same = runner.write(made).groups
    column = ("held-out", "wer")
    assert a.scores[column].utterances is None and len(a.scores[column].values) == 3
    better, worse = a.scores[column].interval, b.scores[column].interval
    assert better.low < better.value < better.high < worse.value
    assert b.scores[column].utterances.difference == pytest.approx(worse.value - better.value)
    assert b.scores[column].adjusted < 0.01 and b.scores[column].seeds.p < 0.05
    equal = same.scores[column]
    assert equal.utterances.difference == 0 and equal.utterances.p == 1 and equal.seeds.p == 1
    assert b.costs["parameters_trainable"] == 1_820_000 and b.costs["train_seconds"] == 10.0


def test_tables_in_three_forms(tmp_path):
    made = in_process(tmp_path, "encoder=a,b", "seed=1,2")
    summary = runner.write(made)
    told = json.loads((tmp_path / "table.json").read_text())
    score = told["groups"][1]["scores"][0]
    assert score["values"].keys() == {"1", "2"} and score["against_baseline_by_utterance"]["p"] < 0.01
    assert told["groups"][0]["scores"][0]["against_baseline_by_utterance"] is None
    scores, costs = tables.grids(summary)
    assert (scores.title, scores.head) == ("WER on held-out", ["choice", "seeds", "WER", "difference", "p"])
    assert all(len(row) == len(grid.head) for grid in (scores, costs) for row in grid.rows)
    assert "1.82M" in costs.rows[0] and "10.0 s" in costs.rows[0]
    assert tables.command(made) == "stentor ablate toy encoder=a,b seed=1,2 --baseline encoder=a"


def test_the_report_is_one_escaped_page(tmp_path):
    made = in_process(tmp_path, "encoder=a,b", "seed=1,2", "note='<script>alert(1)</script>'")
    runner.write(made)
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page and "http://" not in page and "https://" not in page
    assert page.count("Resolved configuration:") == 4 and page.count("<polyline") == 8


def test_a_folder_belongs_to_one_recipe(tmp_path):
    runner._claim(make(tmp_path, "encoder=a,b"))
    other = plan.make("other", ["encoder=a,b"], tmp_path, {})
    with pytest.raises(StentorError, match="ablation of 'toy'"):
        runner.run(other, How(command=COMMAND))


def test_an_unknown_launcher_is_told(tmp_path):
    with pytest.raises(StentorError) as caught:
        runner.run(make(tmp_path, "encoder=a,b"), How("nonesuch", command=COMMAND))
    assert caught.value.path == "--launcher" and "nonesuch" in str(caught.value)
