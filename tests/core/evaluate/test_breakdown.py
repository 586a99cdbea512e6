"""What goes wrong, in tables: their sums are those of the whole set."""

import json
import sys
from pathlib import Path

import pytest

from stentor.evaluate import breakdown
from stentor.evaluate.table import mistakes
from stentor.plugins import registry

SAID = [
    ("a", 1.0, "turn on the light", "turn of the light"),
    ("a", 2.0, "turn it off", "turn it off now"),
    ("b", 3.0, "the light", "light"),
    ("b", 9.0, "Play music!", "play music"),
]


@pytest.fixture
def rows():
    metric = registry().build("metric", "wer")
    made = []
    for index, (speaker, seconds, reference, output) in enumerate(SAID):
        row = {"id": str(index), "speaker": speaker, "duration": seconds, "reference": reference, "output": output}
        (pair,) = metric.counts([reference], [output])
        made.append(row | {"counts": {"wer": list(pair)}})
    return [*made, {"id": "unscored", "speaker": "c", "duration": 1.0, "reference": "", "output": ""}]


def test_tables_count_every_error_once(rows):
    found = breakdown.tables(rows, "wer", 100.0, registry().build("normaliser", "english"))
    assert json.loads(json.dumps(found)) is not None and found["metric"] == "wer"
    assert found["words"]["totals"] == {"substitution": 1, "insertion": 1, "deletion": 1}
    assert found["words"]["substitutions"] == [("on", "of", 1)]
    assert found["words"]["deletions"] == [("the", 1)] and found["words"]["insertions"] == [("now", 1)]
    for groups in (found["speakers"], found["durations"]):
        assert sum(one["utterances"] for one in groups) == 4
        assert sum(one["words"] for one in groups) == sum(one["units"] for one in groups) == 11
        wrong = [one["substitutions"] + one["deletions"] + one["insertions"] for one in groups]
        assert sum(wrong) == sum(one["errors"] for one in groups) == 3
    assert [one["label"] for one in found["speakers"]] == ["a", "b"]
    assert found["speakers"][0]["value"] == pytest.approx(100 * 2 / 7)


def test_mistakes_are_told_in_lines(rows):
    tables = breakdown.tables(rows, "wer", 100.0, registry().build("normaliser", "english"))
    told = mistakes({"set": "s", "tables": tables})
    assert told[0] == "s: 1 words substituted, most often on \N{RIGHTWARDS ARROW} of (1)"
    assert told[2:0:-1] == ["s: 1 words added, most often now (1)", "s: 1 words lost, most often the (1)"]


def test_a_report_shows_the_tables_and_the_normaliser(tmp_path):
    sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
    from made_run import write_run

    from stentor.report import run_report

    page = run_report.write(write_run(tmp_path / "run")).read_text()
    assert page.count("in numbers</summary>") == 2
    assert page.count("After the text normaliser english: Whisper&#39;s English normaliser") == 2
    assert "<td>voice-3</td>" in page and ">Substituted</th>" in page
