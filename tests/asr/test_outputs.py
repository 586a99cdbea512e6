"""Output formats: valid, in order, and nothing in the text can break them."""

import itertools
import json
import re

from hypothesis import given
from hypothesis import strategies as st

from stentor_asr.transcribe.outputs import FORMATS, render
from stentor_asr.transcribe.pipeline import Transcript, in_order
from stentor_asr.transcribe.recogniser import Segment

ABOUT = {"model": "m", "weights": {"sha256": "0"}, "versions": {"stentor": "1"}}
TIMES = st.floats(0, 20000, allow_nan=False)
SEGMENTS = st.lists(st.builds(lambda start, length, text: Segment(start, start + length, text),
                              TIMES, st.floats(0, 40), st.text(min_size=1)), max_size=12)  # fmt: skip
CLOCK = r"(\d{2,}):(\d\d):(\d\d)[.,](\d{3})"


def transcript(segments):
    return Transcript(path="a.wav", duration=3.0, segments=in_order(segments), language="en")


def times_in(content):
    cues = re.findall(f"^{CLOCK} --> {CLOCK}$", content, re.MULTILINE)
    return [
        [int(h) * 3600_000 + int(m) * 60_000 + int(s) * 1000 + int(ms) for h, m, s, ms in (cue[:4], cue[4:])]
        for cue in cues
    ]


@given(SEGMENTS)
def test_subtitles_go_forward_and_never_overlap(segments):
    for form in ("srt", "vtt"):
        times = times_in(render(form, transcript(segments), ABOUT))
        assert len(times) == len(segments)
        assert all(start < end for start, end in times)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(times))


@given(SEGMENTS)
def test_cues_hold_one_line_each(segments):
    blocks = render("srt", transcript(segments), ABOUT).rstrip("\n")
    numbers = [int(block.split("\n")[0]) for block in re.split(r"\n\n(?=\d+\n\d\d)", blocks)] if segments else []
    assert numbers == list(range(1, len(segments) + 1))
    rows = render("tsv", transcript(segments), ABOUT).split("\n")[1:-1]
    assert all(row.count("\t") == 2 for row in rows) and len(rows) == len(segments)


def test_every_format_by_example():
    made = transcript([Segment(0.0, 1.5, "A & B <i>", 0.5), Segment(3661.25, 3662.0, "x --> y")])
    contents = {form: render(form, made, ABOUT) for form in FORMATS}
    assert contents["text"] == "A & B <i>\nx --> y\n"
    assert contents["srt"] == (
        "1\n00:00:00,000 --> 00:00:01,500\nA & B <i>\n\n2\n01:01:01,250 --> 01:01:02,000\nx -> y\n\n"
    )
    assert contents["vtt"].startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nA &amp; B &lt;i&gt;\n\n")
    assert contents["tsv"].split("\n")[2] == "3661250\t3662000\tx --> y"
    read = json.loads(contents["json"])
    assert read["segments"][0] == {"start": 0.0, "end": 1.5, "text": "A & B <i>", "confidence": 0.5}
    assert {"file", "duration", "language", "text", "model", "weights", "versions", "warnings"} <= set(read)


def test_silence_is_valid_in_every_format():
    contents = {form: render(form, transcript([]), ABOUT) for form in FORMATS}
    assert contents["text"] == contents["srt"] == ""
    assert contents["vtt"] == "WEBVTT\n\n" and contents["tsv"] == "start\tend\ttext\n"
    assert json.loads(contents["json"])["segments"] == []
