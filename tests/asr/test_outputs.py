"""Output formats: valid, in order, and nothing in the text can break them."""

import itertools
import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stentor_asr.transcribe.cues import LINE, LINES, LONGEST, cues
from stentor_asr.transcribe.outputs import FORMATS, render
from stentor_asr.transcribe.pipeline import Transcript, in_order
from stentor_asr.transcribe.recogniser import Segment, Word

ABOUT = {"model": "m", "weights": {"sha256": "0"}, "versions": {"stentor": "1"}}
TIMES = st.floats(0, 20000, allow_nan=False)
SEGMENTS = st.lists(st.builds(lambda start, length, text: Segment(start, start + length, text),
                              TIMES, st.floats(0, 40), st.text(min_size=1)), max_size=12)  # fmt: skip
CLOCK = r"(\d{2,}):(\d\d):(\d\d)[.,](\d{3})"


def transcript(segments):
    return Transcript(path=Path("a b.wav"), duration=3.0, segments=in_order(segments), language="en")


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
    assert contents["ctm"] == "" and grid(contents["textgrid"]) == {
        "words": [(0.0, 3.0, "")],
        "segments": [(0.0, 3.0, "")],
    }


LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=("Z", "C")), min_size=1, max_size=12)
SPOKEN = st.lists(st.tuples(LETTERS, st.floats(0, 3), st.floats(0, 2)), min_size=1, max_size=40)


def spoken(said, start=0.0):
    """A segment of words, each after a pause and of a length (s)."""
    words = []
    for text, pause, length in said:
        begin = (words[-1].end if words else start) + pause
        words.append(Word(begin, begin + length, text, 0.5))
    return Segment(words[0].start, words[-1].end, " ".join(word.text for word in words), 0.5, tuple(words))


def grid(content):
    """What Praat's long form says: tier -> (start, end, text) of each interval."""
    tiers = {}
    for block in re.split(r"    item \[\d+\]:\n", content)[1:]:
        name = re.search(r'name = "(.*)"', block)[1]
        found = re.findall(r'xmin = (\S+)\n +xmax = (\S+)\n +text = "((?:[^"]|"")*)"\n', block)
        assert int(re.search(r"intervals: size = (\d+)", block)[1]) == len(found)
        tiers[name] = [(float(start), float(end), text.replace('""', '"')) for start, end, text in found]
    return tiers


@given(st.lists(SPOKEN, max_size=4))
def test_textgrid_says_all_words_and_has_no_gaps(made):
    made = transcript([spoken(said, 40.0 * index) for index, said in enumerate(made)])
    tiers = grid(render("textgrid", made, ABOUT))
    for name, marked in (
        ("segments", made.segments),
        ("words", [w for segment in made.segments for w in segment.words]),
    ):
        assert [text for *_, text in tiers[name] if text] == [one.text for one in marked]
        assert tiers[name][0][0] == 0.0 and tiers[name][-1][1] >= 3.0
        assert all(start < end for start, end, _ in tiers[name])
        assert all(first[1] == second[0] for first, second in itertools.pairwise(tiers[name]))


def test_textgrid_doubles_quotes():
    made = transcript([spoken([("say", 0.5, 0.2), ('"hi"', 0.1, 0.3)])])
    content = render("textgrid", made, ABOUT)
    assert 'text = """hi"""' in content
    assert grid(content)["words"][3] == (0.8, 1.1, '"hi"')


@given(SPOKEN)
def test_cues_are_short_and_lose_no_word(said):
    (segment,) = in_order([spoken(said)])
    found = list(cues([segment]))
    assert [word for cue in found for word in cue.words] == list(segment.words)
    assert " ".join(cue.text for cue in found) == segment.text
    assert all(first.end <= second.start for first, second in itertools.pairwise(found))
    for cue in found:
        assert len(cue.words) == 1 or (cue.end - cue.start <= LONGEST and len(cue.text) <= LINE * LINES + 1)
    blocks = render("srt", transcript([segment]), ABOUT).strip("\n").split("\n\n")
    for block in blocks:
        shown = block.split("\n")[2:]
        assert len(shown) <= LINES and all(len(line) <= LINE for line in shown)


def test_cues_end_where_sentences_end():
    said = [(f"word{index}{'.' if index == 9 else ''}", 0.05, 0.3) for index in range(20)]
    first, second = cues([spoken(said)])
    assert first.text.endswith("word9.") and second.text.startswith("word10")


@given(SPOKEN)
def test_marked_words_of_vtt_go_forward_inside_their_cue(said):
    made = transcript([spoken(said)])
    for block in render("vtt", made, ABOUT, marked=True).split("\n\n")[1:-1]:
        head, text = block.split("\n")
        times = re.findall(r"[\d:]+\.\d{3}", head)
        inside = re.findall(r"<([\d:.]+)>", text)
        assert inside == sorted(set(inside)) and all(times[0] < time < times[1] for time in inside)
        assert re.sub(r"<[^>]*>", "", text).strip() != ""


def test_marked_words_by_example():
    made = transcript([spoken([("A&B", 0.0, 0.5), ("two", 0.5, 0.5)])])
    told = render("vtt", made, ABOUT, marked=True).split("\n")[3]
    assert told == "<c>A&amp;B</c> <00:00:01.000><c>two</c>"


def test_ctm_and_json_tell_the_words():
    made = transcript([spoken([("one", 0.25, 0.5), ("two", 0.0, 0.25)])])
    assert render("ctm", made, ABOUT) == "a_b 1 0.250 0.500 one 0.5000\na_b 1 0.750 0.250 two 0.5000\n"
    (segment,) = json.loads(render("json", made, ABOUT))["segments"]
    assert segment["words"][1] == {"start": 0.75, "end": 1.0, "text": "two", "confidence": 0.5}
    assert "segments" not in json.loads(render("json", made, ABOUT, timed=False))
