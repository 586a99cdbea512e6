"""Whose voice: recordings that can be taken for a reference, and those that cannot."""

import numpy as np
import pytest
import soundfile

from stentor.errors import StentorError
from stentor_tts.speaking.reference import LONGEST, RATE, voice_sample


def recording(seconds, rate=RATE, level=0.3):
    noise = np.random.default_rng(0).standard_normal(round(seconds * rate))
    return (level * noise / np.abs(noise).max()).astype(np.float32)


def written(tmp_path, samples, rate=RATE, name="ada.wav"):
    path = tmp_path / name
    soundfile.write(path, samples, rate)
    return path


def test_a_recording_of_any_rate(tmp_path):
    stereo = np.stack([recording(2.0, 44100)] * 2, 1)
    found = voice_sample(written(tmp_path, stereo, 44100, "ada.flac"))
    assert (found.name, len(found.audio), found.audio.dtype) == ("ada", 2 * RATE, np.float32) and found.text == ""


def test_silence_at_the_ends_is_not_the_voice(tmp_path):
    samples = np.concatenate([np.zeros(RATE), recording(1.5), np.zeros(RATE)]).astype(np.float32)
    assert len(voice_sample(written(tmp_path, samples)).audio) == pytest.approx(1.6 * RATE, abs=200)


def test_a_long_recording_is_cut_where_it_is_quiet(tmp_path):
    samples = recording(14.0)
    samples[round(9.5 * RATE) : round(9.6 * RATE)] *= 0.01
    found = voice_sample(written(tmp_path, samples)).audio
    assert 9.45 * RATE <= len(found) <= 9.6 * RATE < LONGEST * RATE


def test_its_text_lies_beside_it(tmp_path):
    path = written(tmp_path, recording(1.0))
    (tmp_path / "ada.txt").write_text("the boat is\n late ")
    assert voice_sample(path).text == "the boat is late"


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path):
    path = written(tmp_path, recording(1.0))
    first = voice_sample(path)
    assert voice_sample(path) is first
    written(tmp_path, recording(1.2))
    assert voice_sample(path).digest != first.digest


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (np.zeros(3 * RATE, np.float32), "the recording is silent"),
        (recording(2.0, level=1e-4), "the recording is silent"),
        (recording(0.1), "holds 0.10 s of sound; a voice takes 0.5 s at least"),
        (np.concatenate([np.zeros(RATE), recording(0.3)]).astype(np.float32), "holds 0.30 s of sound"),
    ],
)
def test_what_cannot_be_a_voice(samples, told, tmp_path):
    with pytest.raises(StentorError, match=told):
        voice_sample(written(tmp_path, samples))


def test_what_is_no_audio(tmp_path):
    (tmp_path / "text.wav").write_text("not audio at all, just words")
    with pytest.raises(StentorError, match="not audio in a known format"):
        voice_sample(tmp_path / "text.wav")
    with pytest.raises(StentorError, match="no such file to take the voice from"):
        voice_sample(tmp_path / "none.wav")
