"""Judges that are recognisers: blocks of clips, each edit at its clip, what is not installed, nothing heard twice."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.data import audio
from stentor.errors import StentorError
from stentor.evaluate.alignment import distance
from stentor.interfaces.metric import Recording, Spoken
from stentor.plugins import registry
from stentor_tts.judges import recognisers
from stentor_tts.judges.blocks import PAUSE_SECONDS, blocks, joined, shares
from stentor_tts.metrics.judged import JudgedCER, JudgedWER

RATE = 16000
WORDS = st.lists(st.sampled_from("abcd"), max_size=6)


def test_blocks_are_of_one_voice_in_order_and_no_longer_than_asked():
    seconds, voices = [6, 6, 6, 25, 3, 6, 6, 6], ["x", "y", "x", "x", "x", "y", "x", "y"]
    found = blocks(seconds, voices)
    assert found == [[0, 2], [3], [4, 6], [1, 5, 7]]
    assert [sum(seconds[i] for i in block) + PAUSE_SECONDS * (len(block) - 1) for block in found][3] == 19.0
    assert blocks([], []) == []


def test_clips_are_joined_with_pauses():
    wave = joined([np.ones(10, np.float32), np.full(5, 2, np.float32)], 100)
    assert wave.tolist() == [1.0] * 10 + [0.0] * 50 + [2.0] * 5
    assert len(joined([], 100)) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=4), WORDS)
def test_shares_add_up_to_the_distance_of_the_block(references, heard):
    found = shares(references, heard)
    assert sum(one.errors for one in found) == distance([word for words in references for word in words], heard)
    assert [one.units for one in found] == [len(words) for words in references]
    assert [word for one in found for word in one.heard] == heard


def test_every_edit_is_at_its_clip():
    found = shares([["turn", "left"], ["stop", "it"]], ["turn", "stop", "it", "now"])
    assert [(one.errors, one.heard) for one in found] == [(1, ("turn",)), (1, ("stop", "it", "now"))]


class Levels:
    """Hears a word per stretch of sound, by how loud it is."""

    sample_rate = RATE
    words = ("turn left", "open the door", "stop", "sotp")

    def __init__(self):
        self.heard = 0

    def load_pretrained(self):
        return {"sha256": "0"}

    def predict(self, batch):
        self.heard += len(batch["audio"])
        return [self._text(row[:length]) for row, length in zip(batch["audio"], batch["audio_lengths"], strict=True)]

    def _text(self, wave):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], wave > 0, [0]]).astype(int)))
        return " ".join(self.words[round(float(wave[start]) * 10) - 1].title() + "." for start in edges[::2])


class WER(JudgedWER):
    """WER by the judge below."""

    judge = "levels"


class CER(JudgedCER):
    """CER by the judge below."""

    judge = "levels"


@pytest.fixture
def judge(monkeypatch):
    """The recogniser above, registered, and nothing known of what it heard."""
    pytest.importorskip("stentor_asr", reason="the kind is the asr plugin's")
    made = Levels()
    module = ModuleType("levels_judge")
    module.make = lambda: made
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(recognisers, "_HEARD", {})
    saved = registry().snapshot()
    registry().add("recogniser", "levels", "levels_judge:make")
    recognisers._loaded.cache_clear()
    yield made
    registry().restore(saved)
    recognisers._loaded.cache_clear()


def said(folder, index, text, level):
    """A row whose output is a stretch of sound of this level."""
    path = folder / f"{index}.wav"
    audio.write(path, np.full(RATE, level / 10, np.float32), RATE)
    return Spoken(str(index), text, "eve", 1.0, Recording(str(path)))


def test_words_are_counted_per_clip_and_what_was_heard_is_noted(judge, tmp_path):
    rows = [said(tmp_path, 0, "turn left", 1), said(tmp_path, 1, "open a door", 2), said(tmp_path, 2, "Stop!", 3)]
    metric = WER()
    assert metric.measure(rows) == [(0, 2), (1, 3), (0, 1)] and metric.blocks(rows) == [[0, 1, 2]]
    assert [row.notes["heard"]["levels"] for row in rows] == ["turn left", "open the door", "stop"]
    assert metric.unspoken("open a door") == (3, 3)
    assert "levels" in metric.describe() and "20 s" in metric.describe()


def test_characters_are_counted_with_the_spaces_between_clips(judge, tmp_path):
    rows = [said(tmp_path, 0, "turn left", 1), said(tmp_path, 1, "stop", 4)]
    counts = CER().measure(rows)
    assert counts == [(0, 10), (2, 4)], "the space between the two belongs to the first"
    assert CER().measure([rows[1]]) == [(2, 4)]


def test_nothing_is_heard_twice(judge, tmp_path):
    rows = [said(tmp_path, 0, "turn left", 1), said(tmp_path, 1, "stop", 3)]
    WER().measure(rows)
    CER().measure(rows)
    assert judge.heard == 1
    recognisers._HEARD.clear()
    assert WER().measure(rows) == [(0, 2), (0, 1)] and judge.heard == 1, "the rows' notes tell"
    said(tmp_path, 1, "stop", 4)
    assert WER().measure(rows) == [(0, 2), (1, 1)] and judge.heard == 2, "another output is heard"


def test_rows_without_text_have_no_units(judge, tmp_path):
    assert WER().measure([said(tmp_path, 0, "", 3)]) == [(1, 0)]
    assert WER().measure([]) == []


def test_without_recognisers_it_says_what_to_install(monkeypatch):
    recognisers._loaded.cache_clear()
    bare = SimpleNamespace(kinds=list)
    monkeypatch.setattr(recognisers, "registry", lambda: bare)
    with pytest.raises(StentorError, match=r"no installed plugin brings recognisers.*stentor-asr"):
        WER.load_pretrained(WER())
    recognisers._loaded.cache_clear()
