"""The report of a run that speaks: what can be heard side by side, what judges heard, codebooks, latencies."""

import json
import re

import pytest
from made_run import tone
from test_run_report import read

from stentor.data import audio
from stentor.evaluate.told import codebooks, latencies, lines
from stentor.report import run_report

MEANS = "1.5 \N{MULTIPLICATION SIGN} ground truth (0.48) + 5"
METRIC = {"value": 12.5, "low": 10.0, "high": 15.0, "errors": 1.0, "units": 8.0, "unit": "%", "lower_is_better": True,
          "description": "edits", "confidence": 0.95, "resamples": 200}  # fmt: skip


def row(folder, index, heard, **more):
    """An utterance with own audio and output, and what two judges heard."""
    own, said = folder / f"own{index}.wav", folder / "run/evaluation/held-out" / f"u{index}.flac"
    audio.write(own, tone(1.5, index), 16000)
    audio.write(said, tone(2.0, index + 50), 16000)
    words = ["turn", "left", "at", "the", "light"]
    wrong = sum(word not in heard for word in words)
    made = {"id": f"u{index}", "speaker": "eve", "duration": 1.5, "audio": str(own), "start": 0.0, "seconds": 0.1,
            "wall_seconds": 0.1, "reference": " ".join(words), "output": heard, "output_seconds": 2.0,
            "output_audio": f"held-out/u{index}.flac", "synthetic": True,
            "notes": {"heard": {"whisper": heard, "moonshine": "turn left"}},
            "truth": {"notes": {"heard": {"whisper": "turn left at the lite"}}, "counts": {"wer-whisper": [1, 5]}},
            "counts": {"wer-whisper": [wrong, 5], "dnsmos": [3.123, 1]}}  # fmt: skip
    return made | more


def write(folder, rows, metrics, **more):
    (folder / "run/evaluation").mkdir(parents=True, exist_ok=True)
    told = {"set": "held-out", "manifest": "x", "recipe": "tts/speak", "metrics": metrics, "normaliser": "basic",
            "count": len(rows), "unscored": 0, "failed": 0, "bad_rows": [], "hours": 0.1, "rtf": 0.5, "rtf_wall": 0.5,
            "rtf_means": "seconds over seconds", "peak_memory_mb": 500.0, "utterances": rows,
            "machine": {"processor": "Example", "cores": 2, "threads": 1, "device": "cpu"}, **more}  # fmt: skip
    (folder / "run/evaluation/held-out.json").write_text(json.dumps(told))
    return read(run_report.write(folder / "run"))


@pytest.fixture
def metrics():
    targeted = {**METRIC, "target": 5.72, "met": False, "target_means": MEANS}
    score = {**METRIC, "value": 3.1, "low": 3.0, "high": 3.2, "unit": "MOS", "lower_is_better": False}
    return {"wer-whisper": targeted, "dnsmos": score}


def test_what_was_said_can_be_heard_beside_what_it_was_made_from(tmp_path, metrics):
    prompt = {"audio": str(tmp_path / "own0.wav"), "start": 0.5, "duration": 0.5}
    asked = {"style": {"rate": 2, "energy": 0, "whisper": True}, "marked": "turn [slow]left[/slow]"}
    rows = [row(tmp_path, 0, "turn left at the light"), row(tmp_path, 1, "turn at", prompt=prompt, asked=asked)]
    text, page = write(tmp_path, rows, metrics, ground_truth={"wer-whisper": {**METRIC, "value": 0.48}})
    said = " ".join(" ".join(page.text).split())
    assert page.tags.count("audio") == page.tags.count("img") == 5, "own audio, output; own audio, prompt, output"
    assert said.index("u1") < said.index("u0"), "the worst comes first"
    assert "whisper heard: turn left at the lite" in said
    for words in ("moonshine", "asked: rate +2, whisper", "turn [slow]left[/slow]",
                  "wer-whisper 3 of 5", "dnsmos 3.12 MOS", "held-out, its own audio", MEANS,
                  "missed"):  # fmt: skip
        assert words in said, words
    assert re.findall(r'class="stage" [^>]*style="width:([\d.]+)%"', text) == ["75.0", "25.0", "100.0", "75.0", "100.0"]
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    assert "speech" in anchors and "utterances" not in anchors and all(f'id="{anchor}"' in text for anchor in anchors)


def test_where_lower_is_not_better_the_lowest_come_first(tmp_path, metrics):
    rows = [row(tmp_path, n, "turn left") for n in range(8)]
    for number, one in enumerate(rows):
        one["counts"]["dnsmos"] = [4.0 - 0.1 * number, 1]
    text, _ = write(tmp_path, rows, {"dnsmos": metrics["dnsmos"]})
    order = re.findall(r"<b>(u\d)</b>", text)
    assert order == ["u7", "u6", "u5", "u4", "u3", "u2"]


def test_speech_that_nothing_scored_is_shown_too(tmp_path):
    bare = row(tmp_path, 0, "")
    for name in ("counts", "notes", "truth"):
        bare.pop(name)
    lost = {"id": "u9", "speaker": "", "duration": 1.0, "audio": "", "start": 0.0, "seconds": 0.0, "wall_seconds": 0.0,
            "reference": "stop", "output": "", "failure": "RuntimeError: no voice"}  # fmt: skip
    text, page = write(tmp_path, [bare, lost], {})
    said = " ".join(page.text)
    assert page.tags.count("audio") == 2 and "no voice" in said and 'id="speech"' in text
    assert 'id="errors"' not in text and 'id="speakers"' not in text


def test_no_judge_means_no_table_of_words(tmp_path, metrics):
    deaf = row(tmp_path, 0, "")
    deaf.pop("notes")
    text, _ = write(tmp_path, [deaf], {"dnsmos": metrics["dnsmos"]})
    assert 'id="errors"' not in text and 'id="speakers"' in text


def test_codebooks_and_latencies_are_told(tmp_path):
    books = [{"name": "semantic", "size": 1024, "used": 0.5, "perplexity": 301.25, "rate": 25.0}]
    named = {"linguistic": {"size": 512, "used": 1.0, "perplexity": 400.0, "rate": 16.667}}
    one = {"set": "a", "statistics": {"codebooks": books, "first_packet_seconds": [0.3, 0.1, 0.2]}}
    other = {"set": "b", "statistics": {"codes": {"codebooks": named}}}
    told = codebooks([one, other, {"set": "c"}])
    assert [(book["set"], book["name"], book["used"], book["perplexity"]) for book in told] == [
        ("a", "semantic", "50.0", "301.2"), ("b", "linguistic", "100.0", "400.0")]  # fmt: skip
    assert latencies([one, other]) == [{"set": "a", "count": 3, "median": "200", "ninth": "300", "most": "300"}]
    assert lines(one) == ["a: codebook semantic: 50.0 % of 1024 codes used, perplexity 301.2",
                          "a: first packet after 200 ms (median), 300 ms (90 % of 3)"]  # fmt: skip
    text, page = write(tmp_path, [row(tmp_path, 0, "stop")], {}, statistics=one["statistics"])
    said = " ".join(" ".join(page.text).split())
    assert 'id="statistics"' in text and "semantic" in said and "301.2" in said and "Median (ms)" in said


def test_a_file_that_is_gone_is_told(tmp_path, metrics):
    gone = row(tmp_path, 0, "turn")
    (tmp_path / "run/evaluation/held-out/u0.flac").unlink()
    _, page = write(tmp_path, [gone], metrics)
    assert "No audio" in " ".join(page.text)
