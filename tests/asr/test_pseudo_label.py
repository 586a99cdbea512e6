"""From recordings to labels that several recognisers agree on."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from stentor import cli
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor_asr.transcribe import choice
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Segment

RATE = 8000
SAID = {
    "agreed": ["Turn left, now!", "turn left now", "turn lift now"],
    "apart": ["one lamp", "two lambs", "three lands"],
    "little": ["go", "", ""],
    "failing": ["stop", None, "stop"],
    "lost": [None, None, "stop"],
}


class Scripted(Recogniser):
    """Says what the table has for the recording of this length."""

    sample_rate, window_seconds = RATE, 30.0

    def __init__(self, column):
        self.column, self.windows = column, 0

    def load_pretrained(self):
        return {"source": f"column {self.column}"}

    def recognise(self, windows, request=PLAIN):
        self.windows += len(windows)
        texts = [list(SAID.values())[len(window) // RATE - 1][self.column] for window in windows]
        if None in texts:
            raise RuntimeError("a fuse has blown")
        return [Heard((Segment(0.0, 1.0, text),) if text else ()) for text in texts]


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for seconds, name in enumerate(SAID, 1):
        noise = np.random.default_rng(seconds).normal(0, 0.1, seconds * RATE)
        soundfile.write(folder / f"{name}.wav", noise, RATE)
    (folder / "broken.wav").write_bytes(b"no audio")
    return folder


@pytest.fixture
def systems(monkeypatch):
    made = {str(column): Scripted(column) for column in range(3)}
    monkeypatch.setattr(choice, "choose", lambda run, model, **options: made[model])
    return made


def dropped(path):
    return {row["where"]: row["reason"] for row in map(json.loads, path.read_text("utf-8").splitlines())}


def test_what_two_of_three_say_is_kept_and_the_rest_dropped_with_reasons(recordings, systems, tmp_path, capsys):
    labels = tmp_path / "labels.jsonl.gz"
    words = [
        "pseudo-label",
        str(recordings),
        "-o",
        str(labels),
        *(word for name in "012" for word in ("--model", name)),
    ]
    assert cli.main(words) == 0
    kept = {row.id: row for row in manifest.load(labels)}
    assert {name: row.text for name, row in kept.items()} == {"agreed.wav": "turn left now", "failing.wav": "stop"}
    assert kept["agreed.wav"].custom["pseudo_label"] == {
        "transcripts": {"0": "Turn left, now!", "1": "turn left now", "2": "turn lift now"},
        "disagreement": 0.0,
    }
    assert set(kept["failing.wav"].custom["pseudo_label"]["transcripts"]) == {"0", "2"}
    reasons = dropped(tmp_path / "labels.dropped.jsonl")
    assert reasons.keys() == {"apart.wav", "little.wav", "lost.wav", str(recordings / "broken.wav")}
    assert reasons["apart.wav"].startswith("the systems disagree: 2 of 2 words")
    assert reasons["little.wav"] == "no speech"
    assert reasons["lost.wav"] == "too few systems transcribed it: 1 of 3"
    assert "cannot be read" in reasons[str(recordings / "broken.wav")]
    told = capsys.readouterr().out
    assert "2 utterances" in told
    assert "4 dropped" in told


def test_recordings_of_the_same_name_in_two_folders_are_kept_apart(recordings, systems, tmp_path):
    for folder, source in (("one", "agreed"), ("two", "failing")):
        (tmp_path / folder).mkdir()
        shutil.copy(recordings / f"{source}.wav", tmp_path / folder / "a.wav")
    words = ["pseudo-label", str(tmp_path / "one"), str(tmp_path / "two"), "-o", str(tmp_path / "labels.jsonl")]
    assert cli.main([*words, "--model", "0", "--model", "2", "--disagreement", "1"]) == 0
    found = {row.audio: row.text for row in manifest.load(tmp_path / "labels.jsonl")}
    assert found == {str(tmp_path / "one" / "a.wav"): "turn now", str(tmp_path / "two" / "a.wav"): "stop"}


def test_a_second_call_listens_again_only_where_a_system_failed(recordings, systems, tmp_path):
    words = ["pseudo-label", str(recordings), "-o", str(tmp_path / "labels.jsonl.gz"), "--model", "0", "--model", "2"]
    assert cli.main(words) == 0
    first = (tmp_path / "labels.jsonl.gz").read_bytes()
    heard = systems["2"].windows
    assert heard == len(SAID)
    assert cli.main(words) == 0
    assert systems["2"].windows == heard
    assert (tmp_path / "labels.jsonl.gz").read_bytes() == first
    assert cli.main([*words, "--fresh"]) == 0
    assert systems["2"].windows == 2 * heard


def test_a_manifest_is_labelled_without_a_look_at_its_texts_and_another_may_vote(recordings, systems, tmp_path):
    def rows(text):
        wave = recordings / "agreed.wav"
        return [Utterance("a", str(wave), 1.0, RATE, text=text, speaker="kim", frames=RATE)]

    manifest.save(tmp_path / "pool.jsonl.gz", rows("not what is said"))
    manifest.save(tmp_path / "others.jsonl.gz", rows("turn left now"))
    words = ["pseudo-label", str(tmp_path / "pool.jsonl.gz"), "-o", str(tmp_path / "labels.jsonl"), "--model", "0"]
    assert cli.main([*words, "--transcripts", str(tmp_path / "others.jsonl.gz")]) == 0
    (row,) = manifest.load(tmp_path / "labels.jsonl")
    assert (row.text, row.speaker) == ("turn left now", "kim")
    assert row.custom["pseudo_label"]["transcripts"]["others"] == "turn left now"
    assert (tmp_path / "labels.transcripts" / "0.json").is_file()


def test_the_filter_takes_its_threshold(recordings, systems, tmp_path):
    names = [word for name in "012" for word in ("--model", name)]
    words = [
        "pseudo-label",
        str(recordings / "agreed.wav"),
        "-o",
        str(tmp_path / "labels.jsonl"),
        *names,
        "--agree",
        "3",
    ]
    assert cli.main(words) == 0
    assert not (tmp_path / "labels.jsonl").read_bytes()
    assert dropped(tmp_path / "labels.dropped.jsonl")["agreed.wav"].startswith("the systems disagree: 1 of 3 words")
    assert cli.main([*words, "--disagreement", "0.34"]) == 0
    assert manifest.load(tmp_path / "labels.jsonl")[0].text == "turn now"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model", "0"], "2 systems are needed"),
        (["--model", "0", "--model", "1", "--agree", "3"], "3 systems are needed"),
        (["--model", "0", "--model", "1", "--normaliser", "klingon"], "normaliser"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_heard(recordings, systems, tmp_path, capsys, words, told):
    assert cli.main(["pseudo-label", str(recordings), "-o", str(tmp_path / "labels.jsonl"), *words]) != 0
    assert told in capsys.readouterr().err
    assert not any(system.windows for system in systems.values())
    assert not (tmp_path / "labels.jsonl").exists()
