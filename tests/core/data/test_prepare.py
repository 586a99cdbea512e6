"""`stentor prepare`: quarantine, summary, splits, resume after a kill, same bytes every time, refusals of the disk."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.cli import main
from stentor.data import audio, manifest, split, verify
from stentor.data.corpora.folder import Folder
from stentor.data.prepare import PrepareSettings, prepare
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

QUIET = PrepareSettings(progress=False)
SAMPLES = np.random.default_rng(0).uniform(-0.3, 0.3, 8_000).astype(np.float32)


@pytest.fixture
def source(tmp_path):
    place = tmp_path / "source"
    for speaker in ("ann", "bob", "cid", "dan"):
        for number in range(5):
            audio.write(place / speaker / f"{number}.wav", SAMPLES, 16_000)
            (place / speaker / f"{number}.txt").write_text(f"sentence number {number}")
    (place / "ann" / "0.wav").write_text("not audio")
    (place / "bob" / "1.txt").unlink()
    return place


class Listed(Corpus):
    """A corpus of given items."""

    def __init__(self, *items):
        self.listed = items

    def items(self):
        yield from self.listed


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def test_the_command(source, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["prepare", "folder", str(source), "-o", str(out), "speaker=folder", "--jobs", "2"]) == 0
    told = capsys.readouterr().out
    assert "all: 18 utterances, 9.0 s, 4 speakers, 54 words (7 different), 16000 Hz" in told
    assert "left out: 2" in told
    assert str(out / "quarantine.jsonl") in told
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["corpus"], summary["options"]["speaker"], summary["source"]) == ("folder", "folder", str(source))
    assert summary["splits"]["all"]["sample_rates"] == {"16000": 18}
    assert summary["rejected"] == {"it is not audio in a known format": 1, "no text": 1}
    assert {"stentor", "python", "libsndfile"} <= set(summary["versions"])
    quarantined = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert [set(line) for line in quarantined] == [{"where", "reason"}] * 2
    assert len(manifest.load(out / "all.jsonl.gz")) == 18


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["folder"], "needs a SOURCE"),
        (["folder", "{source}", "more"], "takes one SOURCE"),
        (["folder", "{source}/none"], "no such file or folder"),
        (["foldr", "{source}"], "Did you mean 'folder'"),
        (["folder", "{source}", "speeker=folder", "split=sideways"], "Did you mean 'speaker'"),
        (["folder", "{source}", "require_text=maybe"], "'maybe' is not"),
        (["folder", "{source}", "--split", "valid=2"], "no share between 0 and 1"),
        (["folder", "{source}", "--split", "valid=x"], "is no share"),
        (["folder", "{source}", "--split", "../up=0.1"], "no share between"),
        (["folder", "{source}", "--split", "valid=0.5,test=0.5"], "leave nothing"),
        (["folder", "{source}", "--split", "valid=0.1", "--split-by", "speaker"], "is not known"),
    ],
)
def test_mistakes_on_the_command_line(source, tmp_path, capsys, words, told):
    out = tmp_path / "out"
    assert main(["prepare", *(word.format(source=source) for word in words), "-o", str(out)]) == 2
    assert told in capsys.readouterr().err
    assert not list(out.glob("*.jsonl.gz"))


def test_preparing_twice_gives_the_same_bytes(source, tmp_path):
    for out in ("one", "two"):
        prepare(Folder(source, tmp_path / out, speaker="folder"), tmp_path / out, QUIET)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    prepare(Folder(source, tmp_path / "one", speaker="folder"), tmp_path / "one", replace(QUIET, jobs=7))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_a_second_run_examines_only_what_changed(source, tmp_path, monkeypatch):
    prepare(Folder(source, tmp_path), tmp_path / "out", QUIET)
    before = contents(tmp_path / "out")
    examined = []
    monkeypatch.setattr(
        verify, "examine", lambda item, decode, real=verify.examine: examined.append(item.id) or real(item, decode)
    )
    prepare(Folder(source, tmp_path), tmp_path / "out", QUIET)
    assert not examined
    assert contents(tmp_path / "out") == before
    audio.write(source / "ann" / "0.wav", SAMPLES[:4_000], 16_000)
    assert prepare(Folder(source, tmp_path), tmp_path / "out", QUIET).splits["all"].utterances == 19
    assert examined == ["ann-0"]


def test_a_killed_run_goes_on_and_ends_the_same(source, tmp_path):
    prepare(Folder(source, tmp_path), tmp_path / "whole", QUIET)
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from stentor.data import journal, verify\nfrom stentor.data.prepare import *\n"
        "from stentor.data.corpora.folder import Folder\n"
        "journal._FLUSH_SECONDS = 0\nreal = verify.examine\n"
        "verify.examine = lambda item, decode: (time.sleep(0.1), real(item, decode))[1]\n"
        "source, out = map(Path, sys.argv[1:])\n"
        "prepare(Folder(source, out), out, PrepareSettings(progress=False, jobs=1))\n"
    )
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", script, source, out])
    notes = out / ".verified.jsonl"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (notes.exists() and notes.read_text().count("\n") > 4):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(out.glob("*.jsonl.gz"))
    known = notes.read_text().count('["')
    assert 3 <= known < 19
    with notes.open("a") as file:
        file.write('["torn line')
    prepare(Folder(source, out), out, QUIET)
    assert contents(out) == contents(tmp_path / "whole")


def test_old_splits_go_when_the_settings_change(source, tmp_path):
    out = tmp_path / "out"
    prepare(Folder(source, out), out, QUIET)
    prepare(Folder(source, out), out, replace(QUIET, shares={"valid": 0.2}))
    assert {path.name for path in out.glob("*.jsonl.gz")} == {"train.jsonl.gz", "valid.jsonl.gz"}


def test_splits_by_speaker_share_no_speaker(source, tmp_path):
    out = tmp_path / "out"
    prepare(Folder(source, out, speaker="folder"), out, replace(QUIET, shares={"valid": 0.2, "test": 0.2}))
    speakers = [{one.speaker for one in manifest.load(out / f"{name}.jsonl.gz")} for name in ("train", "valid", "test")]
    assert sorted(map(len, speakers)) == [1, 1, 2]
    assert set.union(*speakers) == {"ann", "bob", "cid", "dan"}


def spoken(number, speaker, text, duration=1.0):
    return Utterance(f"u{number}", "/x.wav", duration, 16_000, text=text, speaker=speaker)


@settings(max_examples=150, deadline=None)
@given(
    spoken_=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y", "z", "w", "v"])), min_size=6),
    by=st.sampled_from(["auto", "speaker", "text", "utterance"]),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_splitting_keeps_groups_whole_and_ignores_order(spoken_, by, seed, data):
    utterances = [spoken(number, *one) for number, one in enumerate(spoken_)]
    shares = {"valid": 0.2, "test": 0.1}
    groups = {"speaker": lambda one: one.speaker, "text": lambda one: one.text, "utterance": lambda one: one.id}
    chosen = groups[split.choose(utterances, by, 3)]
    if len(set(map(chosen, utterances))) < 3:
        with pytest.raises(StentorError, match="different"):
            split.assign(utterances, shares, by, seed)
        return
    splits = split.assign(utterances, shares, by, seed)
    assert set(splits) == {"train", "valid", "test"}
    where = {}
    for one, name in zip(utterances, splits, strict=True):
        assert where.setdefault(chosen(one), name) == name
    shuffled = data.draw(st.permutations(utterances))
    again = dict(zip((one.id for one in shuffled), split.assign(shuffled, shares, by, seed), strict=True))
    assert again == dict(zip((one.id for one in utterances), splits, strict=True))


def test_shares_are_of_the_hours():
    utterances = [spoken(number, None, f"t{number}", 1 + number % 3) for number in range(3_000)]
    splits = split.assign(utterances, {"valid": 0.05, "test": 0.1}, "text", 0)
    total = sum(one.duration for one in utterances)
    for name, share in (("valid", 0.05), ("test", 0.1)):
        hours = sum(one.duration for one, where in zip(utterances, splits, strict=True) if where == name)
        assert hours / total == pytest.approx(share, abs=0.003)
    assert splits != split.assign(utterances, {"valid": 0.05, "test": 0.1}, "text", 1)


def item(path, name="a", **more):
    return Item(name, path, **{"text": "hi", **more})


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"start": 9.0}, "wrong duration: it reaches to 9.00 s but the file lasts 0.50 s"),
        ({"duration": 3.0}, "wrong duration: it reaches to 3.00 s"),
        ({"duration": 0.0}, "wrong duration"),
        ({"start": -1.0}, "wrong duration"),
        ({"start": float("nan")}, "wrong duration"),
        ({"duration": float("inf")}, "wrong duration"),
        ({"duration": 0.001}, "too short"),
        ({"channel": 3}, "there is no channel 3"),
        ({"text": "  \n"}, "the text is empty"),
        ({"text": "a\0b"}, "cannot be printed"),
        ({"text": "\ud800"}, "cannot be printed"),
        ({"name": ""}, "the id is empty"),
        ({"split": "../up"}, "the split's name is no file name"),
        ({"custom": {"path": os}}, "not plain data"),
        ({"custom": {"x": float("nan")}}, "not plain data"),
        ({"name": "good"}, "duplicate id"),
    ],
)
def test_bad_items_are_put_aside(tmp_path, more, reason):
    audio.write(tmp_path / "x.wav", SAMPLES, 16_000)
    bad = item(tmp_path / "x.wav", more.pop("name", "bad"), **more)
    out = tmp_path / "out"
    summary = prepare(Listed(item(tmp_path / "x.wav", "good"), bad, Rejected("there", "found bad")), out, QUIET)
    assert summary.splits["all"].utterances == 1
    assert [one.id for one in manifest.load(out / "all.jsonl.gz")] == ["good"]
    assert reason in (out / "quarantine.jsonl").read_text()
    assert sum(summary.rejected.values()) == 2


def test_lengths_that_differ_by_rounding_are_mended(tmp_path):
    audio.write(tmp_path / "x.wav", SAMPLES, 16_000)
    listed = [item(tmp_path / "x.wav", f"u{n}", duration=d) for n, d in enumerate((0.47, 0.5, 0.58, 0.2))]
    prepare(Listed(*listed), tmp_path / "out", QUIET)
    assert [one.duration for one in manifest.load(tmp_path / "out" / "all.jsonl.gz")] == [0.5, 0.5, 0.5, 0.2]


def test_white_space_and_unicode_are_put_in_order(tmp_path):
    audio.write(tmp_path / "x.wav", SAMPLES, 16_000)
    prepare(Listed(item(tmp_path / "x.wav", text=" Cafe\u0301\n at\tnoon ")), tmp_path / "out", QUIET)
    assert manifest.load(tmp_path / "out" / "all.jsonl.gz")[0].text == "Caf\u00e9 at noon"


def test_when_nothing_is_good_the_reasons_are_told_and_kept(tmp_path):
    with pytest.raises(StentorError, match="none of the 1 items can be used") as caught:
        prepare(Listed(item(tmp_path / "none.wav")), tmp_path / "out", QUIET)
    assert "no such file" in str(caught.value)
    assert "no such file" in (tmp_path / "out" / "quarantine.jsonl").read_text()
    assert not list((tmp_path / "out").glob("*.gz"))


def test_a_corpus_that_fails_half_way_leaves_no_manifest(tmp_path):
    class Failing(Listed):
        def items(self):
            yield from self.listed
            raise RuntimeError("the corpus's own fault")

    audio.write(tmp_path / "x.wav", SAMPLES, 16_000)
    with pytest.raises(RuntimeError, match="own fault"):
        prepare(Failing(item(tmp_path / "x.wav")), tmp_path / "out", QUIET)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".verified.jsonl"]


def test_a_folder_that_cannot_be_written_is_one_sentence(source, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["prepare", "folder", str(source), "-o", str(tmp_path / "file" / "out")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len([line for line in told if line.startswith("stentor:")]) == 1
    assert "cannot write it: Not a directory" in told[-1]


@pytest.mark.parametrize("limit", [0, 200, 600, 2_000])
def test_a_disk_that_refuses_is_one_sentence_and_nothing_is_half_written(source, tmp_path, limit):
    """A limit on the size of files refuses writes half-way, as a full disk does."""
    script = (
        "import resource, sys; from stentor.cli import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", script, "prepare", "folder", source, "-o", tmp_path / "out"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if line.startswith("stentor:")]
    assert (done.returncode, len(told)) == (2, 1)
    assert "cannot write it: File too large" in told[0]
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".verified.jsonl"]


def test_preparing_loads_no_torch(source, tmp_path):
    script = ("import sys; from stentor.cli import main; code = main(sys.argv[1:]); "
              "sys.exit(code or 10 * ('torch' in sys.modules))")  # fmt: skip
    words = [sys.executable, "-c", script, "prepare", "folder", source, "-o", tmp_path / "out"]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
