"""Manifests: round trips, lhotse's own reading of them, broken rows put aside, nothing run, nothing half-written."""

import gzip
import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.data import audio, manifest
from stentor.data.row import build
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected

TYPED = {"style": "whisper", "events": [{"start": 0.1, "type": "laugh"}], "pair": {"chosen": "a", "rejected": "b"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("corpus")
    audio.write(place / "clips" / "x.wav", np.linspace(-0.5, 0.5, 32_000, dtype=np.float32), 16_000)
    audio.write(place / "clips" / "two.flac", np.zeros((32_000, 2), dtype=np.float32), 16_000)
    return place


def utterance(folder, name="a", **more):
    given = {"audio": str(folder / "clips" / "x.wav"), "duration": 1.5, "sample_rate": 16_000, "frames": 32_000}
    return Utterance(id=name, **{**given, **more})


def several(folder):
    return [
        utterance(folder, "plain"),
        utterance(folder, "part", start=0.25, text="turn it on", speaker="ann", language="en-GB"),
        utterance(folder, "typed", text="", custom=TYPED | {"gender": "F"}),
        utterance(folder, "both", audio=str(folder / "clips" / "two.flac"), channels=2),
        utterance(folder, "right", audio=str(folder / "clips" / "two.flac"), channels=2, channel=1),
        utterance(folder, "ünï", text="Füße, 速い"),
    ]


def row(folder, **changes):
    """A good row, with some of its parts changed; dots in a name lead into nested objects."""
    made = build(utterance(folder, text="hello"), str(folder))
    for name, value in changes.items():
        *path, last = name.split("__")
        target = made
        for part in path:
            target = target[0][part] if isinstance(target, list) else target[part]
        target = target[0] if isinstance(target, list) else target
        target.pop(last, None) if value is ... else target.__setitem__(last, value)
    return made


def put(path, rows):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in rows))
    return path


@pytest.mark.parametrize("name", ["all.jsonl.gz", "all.jsonl"])
def test_what_is_written_is_read_again(folder, name):
    manifest.save(folder / name, several(folder))
    assert manifest.load(folder / name) == several(folder)


def test_same_rows_same_bytes_and_the_fingerprint_is_of_the_content(folder):
    manifest.save(folder / "one.jsonl.gz", several(folder))
    manifest.save(folder / "two.jsonl.gz", several(folder))
    manifest.save(folder / "flat.jsonl", several(folder))
    assert (folder / "one.jsonl.gz").read_bytes() == (folder / "two.jsonl.gz").read_bytes()
    assert manifest.fingerprint(folder / "one.jsonl.gz") == manifest.fingerprint(folder / "flat.jsonl")
    manifest.save(folder / "two.jsonl.gz", several(folder)[1:])
    assert manifest.fingerprint(folder / "one.jsonl.gz") != manifest.fingerprint(folder / "two.jsonl.gz")


def test_a_corpus_folder_can_be_moved(folder, tmp_path):
    manifest.save(folder / "all.jsonl.gz", several(folder))
    shutil.copytree(folder, tmp_path / "moved")
    moved = manifest.load(tmp_path / "moved" / "all.jsonl.gz")
    assert {os.path.dirname(one.audio) for one in moved} == {str(tmp_path / "moved" / "clips")}
    assert str(folder).encode() not in gzip.decompress((folder / "all.jsonl.gz").read_bytes())


def test_an_example_of_a_voice_moves_with_its_corpus(folder, tmp_path):
    prompt = {"audio": str(folder / "clips" / "two.flac"), "text": "so"}
    manifest.save(folder / "prompted.jsonl", [utterance(folder, custom={"prompt": prompt})])
    assert json.loads((folder / "prompted.jsonl").read_text())["custom"]["prompt"]["audio"] == "clips/two.flac"
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    (row,) = manifest.load(moved / "prompted.jsonl")
    assert row.custom["prompt"] == {"audio": str(moved / "clips" / "two.flac"), "text": "so"}
    line = (moved / "prompted.jsonl").read_text().replace("clips/two.flac", "../two.flac")
    (moved / "prompted.jsonl").write_text(line)
    with pytest.raises(StentorError, match="may not leave"):
        manifest.load(moved / "prompted.jsonl")


def test_audio_elsewhere_keeps_its_absolute_path(folder, tmp_path):
    manifest.save(tmp_path / "all.jsonl.gz", several(folder))
    assert manifest.load(tmp_path / "all.jsonl.gz") == several(folder)


def test_lhotse_reads_what_is_written_and_the_other_way_round(folder, tmp_path):
    lhotse = pytest.importorskip("lhotse")
    manifest.save(tmp_path / "all.jsonl.gz", several(folder))
    cuts = list(lhotse.CutSet.from_file(tmp_path / "all.jsonl.gz"))
    for cut, one in zip(cuts, several(folder), strict=True):
        assert (cut.id, cut.start, cut.duration) == (one.id, one.start, one.duration)
        assert cut.supervisions[0].text == one.text
        assert manifest.from_cut(cut) == one
        assert manifest.to_cut(one) == cut
        samples = cut.load_audio()
        mono = audio.read(one.audio, start=one.start, duration=one.duration, channel=one.channel)
        np.testing.assert_allclose(samples.mean(axis=0), mono, atol=1e-6)
    assert [cut.id for cut in manifest.cuts(tmp_path / "all.jsonl.gz")] == [one.id for one in several(folder)]
    lhotse.CutSet.from_cuts(cuts).to_file(tmp_path / "theirs.jsonl.gz")
    assert manifest.load(tmp_path / "theirs.jsonl.gz") == several(folder)


def test_text_is_normalised_to_nfc(folder):
    decomposed = row(folder, supervisions__text="Cafe\u0301", supervisions__speaker="Rene\u0301")
    [read] = manifest.load(put(folder / "nfd.jsonl", [decomposed]))
    assert (read.text, read.speaker) == ("Caf\u00e9", "Ren\u00e9")


BAD = {
    "not json": ("{'id': 1}", "not JSON"),
    "cut off": ('{"id": "a", "start"', "not JSON"),
    "not an object": ("[1, 2]", "not a JSON object"),
    "deep": ("[" * 100_000, "not JSON"),
    "a table's row": ({"audio": "x.wav", "text": "hi", "duration": 1.0}, "stentor prepare table"),
    "missing audio": ({"recording__sources__source": "clips/gone.wav"}, "missing audio"),
    "zero duration": ({"duration": 0}, "wrong duration"),
    "negative duration": ({"duration": -1.0}, "wrong duration"),
    "negative start": ({"start": -0.5}, "wrong duration"),
    "longer than the file": ({"duration": 9.0}, "wrong duration: it ends at 9.00 s but the file lasts 2.00 s"),
    "starts after the end": ({"start": 3.0}, "wrong duration"),
    "wrong length of the file": ({"recording__duration": 5.0}, "wrong duration"),
    "nan duration": ({"duration": float("nan")}, "duration must be a number"),
    "duration as text": ({"duration": "1.5"}, "duration must be a number"),
    "huge duration": ({"duration": 10**400}, "duration must be a number"),
    "unknown field": ({"durration": 1.0}, "unknown field: durration, did you mean 'duration'"),
    "unknown supervision field": ({"supervisions__txt": "x"}, "unknown field: supervision.txt, did you mean 'text'"),
    "no rate": ({"recording__sampling_rate": 0}, "recording.sampling_rate must be a whole number"),
    "true as a number": ({"recording__num_samples": True}, "recording.num_samples must be a whole number"),
    "no id": ({"id": ...}, "id must be"),
    "id of lines": ({"id": "a\nb"}, "id must be"),
    "text as a number": ({"supervisions__text": 5}, "the text is not text"),
    "half a character": ({"supervisions__text": "\ud800"}, "the text is not text"),
    "two supervisions": ({"supervisions": [{"id": "1"}, {"id": "2"}]}, "more than one supervision"),
    "another cut": ({"type": "MixedCut"}, "cuts of type 'MixedCut'"),
    "bad channel": ({"channel": 7}, "channel must be"),
    "bad sources": ({"recording__sources": [5]}, "recording.sources must be a list of one file"),
    "command": ({"recording__sources__type": "command"}, "type 'command' is refused"),
    "url": ({"recording__sources__type": "url"}, "type 'url' is refused"),
    "memory": ({"recording__sources__type": "memory"}, "type 'memory' is refused"),
    "traversal": ({"recording__sources__source": "../../etc/passwd"}, "may not leave the manifest's folder"),
    "hidden traversal": ({"recording__sources__source": "clips/../../x.wav"}, "may not leave the manifest's folder"),
    "null byte": ({"recording__sources__source": "clips/x\0.wav"}, "not a path"),
    "stored features": ({"features": {"storage_type": "numpy_files", "storage_path": "x"}}, "features are refused"),
    "stored array": ({"custom": {"codes": {"array": {}, "storage_type": "lilcom_chunky"}}}, "custom.codes"),
    "recording in custom": ({"custom": {"target": {"sources": [], "id": "x"}}}, "custom.target"),
    "custom of the supervision": ({"supervisions__custom": {"a": {"storage_type": "x"}}}, "custom.a"),
    "transforms": ({"recording__transforms": [{"name": "Speed", "kwargs": {}}]}, "transforms"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_put_aside_with_its_line_and_the_rest_goes_on(folder, case):
    given, reason = BAD[case]
    bad = given if isinstance(given, str) or "audio" in given else row(folder, **({"id": "bad"} | given))
    path = put(folder / "mixed.jsonl", [row(folder, id="before"), "", bad, row(folder, id="after")])
    read = list(manifest.rows(path))
    assert [one.id for one in read if isinstance(one, Utterance)] == ["before", "after"]
    [rejected] = [one for one in read if isinstance(one, Rejected)]
    assert rejected.where == f"{path}:3"
    assert reason in rejected.reason
    with pytest.warns(manifest.BadRows, match="1 of 3 rows are left out"):
        assert len(manifest.load(path)) == 2
    with pytest.raises(StentorError, match="none of its 1 rows can be used") as caught:
        manifest.load(put(folder / "bad.jsonl", [bad]))
    assert reason in str(caught.value)


def test_duplicate_ids_keep_the_first(folder):
    path = put(folder / "twice.jsonl", [row(folder, start=0.0), row(folder, start=0.1)])
    first, second = manifest.rows(path)
    assert first.start == 0.0
    assert second == Rejected(f"{path}:2", "duplicate id: 'a' is on line 1 already")


def test_bad_rows_can_be_reported_instead_of_warned_of(folder):
    reported = []
    manifest.load(put(folder / "twice.jsonl", [row(folder), row(folder), "x"]), report=reported.extend)
    assert [one.where.rpartition(":")[2] for one in reported] == ["2", "3"]


@pytest.mark.parametrize("content", [b"", b"\n\n", None])
def test_an_empty_or_missing_manifest_is_an_error(tmp_path, content):
    path = tmp_path / "none.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StentorError, match="the manifest is empty" if content is not None else "cannot be opened"):
        manifest.load(path)


def test_a_truncated_archive_gives_what_can_be_unpacked(folder):
    path = folder / "long.jsonl.gz"
    manifest.save(path, [utterance(folder, f"u{number}", text=os.urandom(50).hex()) for number in range(500)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    *good, last = manifest.rows(path)
    assert 100 < len(good) < 400
    assert all(isinstance(one, Utterance) for one in good)
    assert "damaged here" in last.reason
    with pytest.raises(StentorError, match="damaged"):
        manifest.fingerprint(path)


def test_a_failed_write_leaves_the_old_manifest_and_nothing_else(folder, tmp_path):
    path = tmp_path / "all.jsonl.gz"
    manifest.save(path, several(folder))
    before = path.read_bytes()
    with pytest.raises(RuntimeError), manifest.Writer(path) as writer:
        writer.write(utterance(folder))
        raise RuntimeError("the corpus fails half-way")
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["all.jsonl.gz"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a device that is always full")
def test_a_full_disk_is_one_sentence(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("stentor.data.manifest.replacing", lambda path: _OnFullDisk())
    with pytest.raises(StentorError, match="cannot write it: No space left on device"):
        manifest.save(tmp_path / "all.jsonl", [utterance(folder, f"u{n}") for n in range(200)])


class _OnFullDisk:
    def __enter__(self):
        return "/dev/full"

    def __exit__(self, *error):
        return None


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_places = ["id", "start", "duration", "channel", "supervisions", "recording", "custom", "type", "recording__sources",
           "recording__sampling_rate", "recording__num_samples", "recording__channel_ids", "supervisions__text",
           "recording__sources__source", "recording__sources__type", "recording__duration", "supervisions__speaker",
           "recording__sources__channels", "supervisions__custom", "recording__transforms"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(_places), value=_json)
def test_any_value_in_any_place_is_read_or_put_aside(folder, place, value):
    path = put(
        folder / "any.jsonl", [row(folder, id="good-1"), row(folder, **{place: value}), row(folder, id="good-2")]
    )
    check_survivors(path)


@settings(max_examples=200, deadline=None)
@given(line=st.binary(max_size=200), other=_json)
def test_any_bytes_in_a_line_are_put_aside(folder, line, other):
    good = [json.dumps(row(folder, id=f"good-{number}")).encode() for number in (1, 2)]
    path = folder / "bytes.jsonl"
    path.write_bytes(b"\n".join([good[0], line, json.dumps(other).encode(), good[1], b""]))
    check_survivors(path)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300), gzipped=st.booleans())
def test_any_file_is_a_manifest_or_a_stentor_error(folder, content, gzipped):
    path = folder / "noise.jsonl.gz"
    path.write_bytes(b"\x1f\x8b" + content if gzipped else content)
    with pytest.raises(StentorError):
        manifest.load(path)


def check_survivors(path):
    read = list(manifest.rows(path))
    good = [one for one in read if isinstance(one, Utterance)]
    assert {"good-1", "good-2"} <= {one.id for one in good}
    for one in good:
        assert one.duration > 0 <= one.start
        json.dumps(build(one, "/")).encode()
    assert all(one.where.startswith(f"{path}:") and one.reason for one in read if isinstance(one, Rejected))
