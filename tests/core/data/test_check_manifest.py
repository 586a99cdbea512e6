"""The check of manifests against what a recipe needs."""

import numpy as np
import pytest

from stentor.data import audio, manifest
from stentor.data.check import Needs, check
from stentor.data.utterance import Utterance
from stentor.errors import StentorError


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        audio.write(tmp_path / f"{name}.wav", np.zeros(16_000, dtype=np.float32), 8_000)
    return tmp_path


def save(folder, name, *changes):
    made = []
    for number, change in enumerate(changes):
        given = {"audio": str(folder / "a.wav"), "duration": 2.0, "sample_rate": 8_000, "frames": 16_000,
                 "text": f"text {name} {number}", "speaker": f"speaker {name}"}  # fmt: skip
        made.append(Utterance(id=f"{name}-{number}", **given | change))
    manifest.save(folder / f"{name}.jsonl.gz", made)
    return folder / f"{name}.jsonl.gz"


def findings(report):
    return {one.what: (one.count, one.error) for one in report.findings}


def test_a_good_manifest_has_no_findings(folder):
    report = check(
        {"train": save(folder, "t", {}, {}), "valid": save(folder, "v", {})}, Needs(disjoint=("speaker", "text"))
    )
    assert report.ok
    assert not report.findings
    assert report.utterances == {"train": 2, "valid": 1}
    assert report.lines()[0] == "train: 2 utterances, 0.1 min"
    report.raise_errors()


def test_what_the_recipe_cannot_do_without_is_an_error(folder):
    path = save(folder, "t", {"text": None}, {"speaker": None}, {})
    report = check({"train": path}, Needs(speaker=True))
    assert findings(report) == {
        "train: no text, and the recipe needs one": (1, True),
        "train: no speaker, and the recipe needs one": (1, True),
    }
    with pytest.raises(StentorError, match=r"no text, and the recipe needs one, e\.g\. t-0"):
        report.raise_errors()
    assert check({"train": path}, Needs(text=False)).ok


def test_what_training_does_without_is_a_warning(folder):
    path = save(folder, "t", {"duration": 0.1}, {}, {})
    report = check({"train": path}, Needs(min_duration=0.5, max_duration=1.0, sample_rate=16_000))
    assert report.ok
    assert findings(report) == {
        "train: shorter than 0.5 s, will be left out": (1, False),
        "train: longer than 1 s, will be left out": (2, False),
        "train: sampled at 8000 Hz, below the model's 16000 Hz": (3, False),
    }


def test_files_that_are_not_what_the_manifest_says(folder):
    path = save(folder, "t", {}, {"audio": str(folder / "b.wav")}, {"audio": str(folder / "c.wav")})
    (folder / "b.wav").write_text("spoilt")
    audio.write(folder / "c.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    report = check({"train": path})
    assert findings(report) == {
        "train: it is not audio in a known format": (1, False),
        "train: the file is not the one that the manifest describes: another sample rate or number of channels": (
            1,
            False,
        ),
    }
    assert not check({"train": path}, Needs(audio="none")).findings


def test_decoding_finds_what_the_header_hides(folder):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    audio.write(folder / "d.flac", noise, 8_000)
    path = save(folder, "t", {}, {"audio": str(folder / "d.flac")})
    content = (folder / "d.flac").read_bytes()
    (folder / "d.flac").write_bytes(content[: len(content) // 2])
    assert not check({"train": path}).findings
    report = check({"train": path}, Needs(audio="decode"))
    assert findings(report) == {"train: the file breaks off before the utterance ends": (1, False)}


def test_shared_speakers_and_texts_are_errors_when_asked_for(folder):
    train = save(folder, "t", {"speaker": "ann", "text": "Same"}, {"speaker": "bob"})
    valid = save(folder, "v", {"speaker": "ann", "text": "same"}, {"speaker": "cid"})
    assert check({"train": train, "valid": valid}).ok
    report = check({"train": train, "valid": valid}, Needs(disjoint=("speaker", "text")))
    assert findings(report) == {"train and valid share a speaker": (1, True), "train and valid share a text": (1, True)}


def test_bad_rows_and_bad_manifests(folder):
    path = save(folder, "t", {}, {"audio": str(folder / "gone.wav")})
    assert findings(check({"train": path})) == {"train: missing audio": (1, False)}
    gone = check({"train": save(folder, "g", {"audio": str(folder / "gone.wav")}), "valid": folder / "no.jsonl"})
    assert not gone.ok
    told = "\n".join(gone.lines())
    assert "train: no row of the manifest can be used" in told
    assert "valid: it cannot be opened" in told
