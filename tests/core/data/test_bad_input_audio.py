"""Bad audio files: each gives one clear sentence, loses nothing, and long files need no more memory than short ones."""

import os
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile

from stentor.data import audio, manifest
from stentor.data.corpora.folder import Folder
from stentor.data.prepare import PrepareSettings, prepare
from stentor.errors import StentorError

NOISE = np.random.default_rng(0).uniform(-0.3, 0.3, 32_000).astype(np.float32)


def halved(path, form, subtype=None):
    soundfile.write(path, np.tile(NOISE, 4), 16_000, format=form, subtype=subtype)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make(folder):
    """name -> part of the sentence that is expected, None where the file is fine."""

    def put(name, samples, rate=16_000, subtype="FLOAT"):
        soundfile.write(folder / name, samples, rate, format="WAV", subtype=subtype)

    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("Dear diary, this is not audio.")
    (folder / "video.wav").write_bytes(b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00")
    (folder / "header.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    (folder / "folder.wav").mkdir()
    halved(folder / "cut_wav.wav", "WAV")
    halved(folder / "cut_flac.wav", "FLAC")
    halved(folder / "cut_ogg.wav", "OGG", "VORBIS")
    halved(folder / "cut_mp3.wav", "MP3")
    put("nan.wav", np.where(np.arange(32_000) == 20_000, np.nan, NOISE).astype(np.float32))
    put("infinite.wav", np.where(np.arange(32_000) == 20_000, np.inf, NOISE).astype(np.float32))
    put("one_sample.wav", NOISE[:1])
    put("no_sample.wav", NOISE[:0])
    put("integers.wav", NOISE * 32_768)
    put("silent.wav", 0 * NOISE)
    put("fast.wav", NOISE, 192_000)
    put("eight.wav", np.stack([NOISE] * 8, axis=1))
    soundfile.write(folder / "flac_called.wav", NOISE, 16_000, format="FLAC")
    return {
        "missing.wav": "no such file", "empty.wav": "empty", "text.wav": "not audio", "folder.wav": "folder",
        "video.wav": "ffmpeg", "header.wav": "damaged", "nan.wav": "NaN", "infinite.wav": "NaN or infinite",
        "one_sample.wav": "too short to use: 1 sample", "no_sample.wav": "no audio in it", "silent.wav": None,
        "fast.wav": None, "eight.wav": None, "flac_called.wav": None,
    }  # fmt: skip


def test_reading_says_in_one_sentence_what_is_wrong(tmp_path):
    for name, sentence in make(tmp_path).items():
        for read in (audio.read, lambda path: list(audio.blocks(path, 1.0, 16_000))):
            if sentence is None:
                read(tmp_path / name)
                continue
            with pytest.raises(StentorError, match=sentence) as caught:
                read(tmp_path / name)
            told = str(caught.value)
            assert told.startswith(str(tmp_path / name))
            assert len(told.splitlines()) == 1
            assert told.endswith((".", "out.wav"))


@pytest.mark.parametrize("name", ["cut_wav.wav", "cut_flac.wav", "cut_ogg.wav", "cut_mp3.wav"])
def test_what_can_be_read_of_a_truncated_file_is_used_with_a_warning(tmp_path, name):
    make(tmp_path)
    with pytest.warns(audio.DamagedAudio, match="breaks off"):
        samples = audio.read(tmp_path / name)
    assert 32_000 <= len(samples) <= 96_000
    with pytest.warns(audio.DamagedAudio, match="breaks off"):
        joined = np.concatenate(list(audio.blocks(tmp_path / name, 0.3)))
    np.testing.assert_array_equal(joined, samples)


def test_an_mp3_that_does_not_declare_its_length_is_not_taken_for_truncated(tmp_path):
    """At a variable bit rate the length is then guessed from the first frames, here far too long."""
    quiet_then_loud = np.concatenate([np.zeros(160_000), np.tile(NOISE, 5)]).astype(np.float32)
    path = tmp_path / "x.mp3"
    soundfile.write(path, quiet_then_loud, 16_000, bitrate_mode="VARIABLE", compression_level=0.5)
    content = path.read_bytes()
    first = content.index(content[:2], content.index(b"Xing"))
    path.write_bytes(content[first:])
    assert audio.info(path).duration > 30
    found = audio.scan(path)
    assert not found.damaged
    assert found.frames == pytest.approx(320_000, abs=3_000)


def test_good_files_give_no_warning(tmp_path):
    table = make(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in (name for name, sentence in table.items() if sentence is None):
            audio.read(tmp_path / name, 16_000)


def test_prepare_quarantines_every_bad_file_and_keeps_every_good_one(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    table = make(source)
    for name in [*table, "cut_wav.wav", "cut_flac.wav", "cut_ogg.wav", "cut_mp3.wav", "integers.wav"]:
        (source / name).with_suffix(".txt").write_text("some words")
    summary = prepare(Folder(source, out / "audio"), out, PrepareSettings(progress=False))
    kept = manifest.load(out / "all.jsonl.gz")
    assert {one.id for one in kept} == {"silent", "fast", "eight", "flac_called"}
    assert [one.id for one in kept if one.custom.get("silent")] == ["silent"]
    assert sum(summary.rejected.values()) == len(table) - 4 + 5
    quarantined = (out / "quarantine.jsonl").read_text()
    for word in ("breaks off", "text without audio", "NaN", "not audio", "ffmpeg", "too short", "outside -1 to 1"):
        assert word in quarantined


def test_headers_alone_are_enough_to_find_what_headers_tell(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    make(source)
    prepare(Folder(source, out, require_text=False), out, PrepareSettings(decode=False, progress=False))
    kept = {one.id for one in manifest.load(out / "all.jsonl.gz")}
    assert {"silent", "fast", "eight", "flac_called", "nan"} <= kept
    assert not kept & {"empty", "text", "video", "header", "cut_wav", "cut_ogg", "one_sample", "no_sample"}


def sparse_wav(path, seconds, rate=4_000):
    """Zeros that take no room on the disk."""
    size = 2 * rate * seconds
    parts = (b"RIFF", size + 36, b"WAVEfmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", size)
    path.write_bytes(struct.pack("<4sI8sIHHIIHH4sI", *parts))
    os.truncate(path, 44 + size)


def test_memory_stays_flat_on_a_two_hour_file(tmp_path):
    peaks = []
    for seconds in (300, 7_200):
        path = tmp_path / f"{seconds}.wav"
        sparse_wav(path, seconds)
        assert audio.info(path).duration == seconds
        tracemalloc.start()
        count = sum(len(block) for block in audio.blocks(path, 30.0, 8_000))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == seconds * 8_000
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 8 << 20
