"""Audio in and out: resampling quality, continuity across blocks, stretches, channels, atomic writing."""

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.data import audio
from stentor.data.resample import Resampler, resample
from stentor.errors import StentorError


def tone(frequency, rate, seconds=1.0):
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def level(samples, rate):
    """dB of the middle, relative to the tone's own level."""
    middle = samples[rate // 5 : -rate // 5]
    return 20 * np.log10(np.sqrt(2 * np.mean(middle.astype(np.float64) ** 2)) / 0.5 + 1e-12)


@pytest.mark.parametrize("source", [44_100, 8_000, 48_000, 22_050, 11_127, 192_000, 4_000])
def test_a_tone_keeps_its_level_and_place(source):
    out = resample(tone(1000, source), source, 16_000)
    assert len(out) == 16_000
    assert abs(level(out, 16_000)) < 0.1
    np.testing.assert_allclose(out[3200:-3200], tone(1000, 16_000)[3200:-3200], atol=1e-4)


@pytest.mark.parametrize(
    ("source", "frequency"), [(44_100, 8_010), (44_100, 12_000), (192_000, 8_010), (48_000, 20_000)]
)
def test_what_lies_above_the_new_nyquist_is_gone(source, frequency):
    assert level(resample(tone(frequency, source), source, 16_000), 16_000) < -60


def test_images_of_a_raised_rate_are_gone():
    out = resample(tone(3_000, 8_000), 8_000, 16_000)
    spectrum = np.abs(np.fft.rfft(out * np.blackman(len(out))))
    far = np.abs(np.fft.rfftfreq(len(out), 1 / 16_000) - 3_000) > 100
    assert 20 * np.log10(spectrum[far].max() / spectrum.max()) < -60


@settings(max_examples=25, deadline=None)
@given(
    rates=st.tuples(st.sampled_from([8_000, 11_127, 16_000, 44_100]), st.sampled_from([8_000, 16_000, 24_000])),
    cuts=st.lists(st.integers(0, 6_000), max_size=6),
    length=st.integers(1, 20_000),
)
def test_a_stream_equals_the_whole_however_it_is_cut(rates, cuts, length):
    samples = np.random.default_rng(0).standard_normal(length).astype(np.float32)
    stream, out, position = Resampler(*rates), [], 0
    for cut in cuts:
        out.append(stream.push(samples[position : position + cut]))
        position += cut
    out += [stream.push(samples[position:]), stream.flush()]
    whole = resample(samples, *rates)
    assert len(whole) == -(-length * rates[1] // rates[0])
    np.testing.assert_allclose(np.concatenate(out), whole, atol=1e-5)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus"])
def test_every_format_reads_whatever_it_is_called(tmp_path, suffix):
    samples = tone(440, 48_000)
    form, subtype = {"opus": ("OGG", "OPUS"), "ogg": ("OGG", "VORBIS")}.get(suffix, (suffix.upper(), None))
    for name in (f"x.{suffix}", f"{suffix}_called.wav"):
        soundfile.write(tmp_path / name, samples, 48_000, format=form, subtype=subtype)
        header = audio.info(tmp_path / name)
        assert (header.sample_rate, header.channels, header.complete) == (48_000, 1, True)
        assert header.duration == pytest.approx(1.0, abs=0.06)
        out = audio.read(tmp_path / name, 16_000)
        assert out.dtype == np.float32
        assert abs(level(out, 16_000)) < 0.5


@pytest.mark.parametrize("rate", [4_000, 11_025, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_rates_and_channels(tmp_path, rate, channels):
    left = tone(500, rate)
    samples = np.zeros((len(left), channels), dtype=np.float32)
    samples[:, 0] = left
    soundfile.write(tmp_path / "x.wav", samples, rate, subtype="FLOAT")
    np.testing.assert_allclose(audio.read(tmp_path / "x.wav"), left / channels, atol=1e-6)
    np.testing.assert_array_equal(audio.read(tmp_path / "x.wav", channel=0), left)
    assert len(audio.read(tmp_path / "x.wav", 16_000)) == 16_000
    with pytest.raises(StentorError, match=f"no channel {channels}"):
        audio.read(tmp_path / "x.wav", channel=channels)


def test_a_stretch_is_that_part_of_the_whole(tmp_path):
    audio.write(tmp_path / "x.flac", tone(300, 16_000, 3.0), 16_000)
    whole = audio.read(tmp_path / "x.flac")
    np.testing.assert_array_equal(audio.read(tmp_path / "x.flac", start=1.0, duration=0.5), whole[16_000:24_000])
    np.testing.assert_array_equal(audio.read(tmp_path / "x.flac", start=2.9, duration=9.0), whole[46_400:])


@pytest.mark.parametrize(("seconds", "overlap"), [(1.0, 0.0), (0.7, 0.2), (10.0, 1.0)])
def test_blocks_are_the_whole_in_pieces(tmp_path, seconds, overlap):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 44_100 * 3).astype(np.float32)
    audio.write(tmp_path / "x.wav", samples, 44_100)
    whole = audio.read(tmp_path / "x.wav", 16_000)
    size, hop, end = round(seconds * 16_000), round((seconds - overlap) * 16_000), 0
    for number, block in enumerate(audio.blocks(tmp_path / "x.wav", seconds, 16_000, overlap)):
        assert end < len(whole)
        end = number * hop + len(block)
        assert len(block) == size or end == len(whole)
        np.testing.assert_allclose(block, whole[number * hop : end], atol=1e-5)
    assert end == len(whole)


def test_writing_is_whole_or_not_at_all(tmp_path):
    samples = tone(440, 16_000)
    audio.write(tmp_path / "deep" / "x.wav", samples, 16_000)
    np.testing.assert_allclose(audio.read(tmp_path / "deep" / "x.wav"), samples, atol=1 / 30_000)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.wav"]
    with pytest.raises(StentorError, match=r"\.wav or \.flac"):
        audio.write(tmp_path / "x.mp3", samples, 16_000)
    (tmp_path / "file").write_text("a file where a folder is needed")
    with pytest.raises(StentorError, match="cannot write"):
        audio.write(tmp_path / "file" / "x.wav", samples, 16_000)


def test_loud_samples_are_clipped_not_wrapped(tmp_path):
    audio.write(tmp_path / "x.wav", np.array([2.0, -2.0] * 200, dtype=np.float32), 16_000)
    read = audio.read(tmp_path / "x.wav")
    assert read.max() > 0.99
    assert read.min() == -1.0
    assert (np.sign(read) == [1, -1] * 200).all()
