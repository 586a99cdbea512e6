"""What vocoders are made of: pitch, pulses, noise, Fourier frames, convolutions that look ahead, Griffin-Lim."""

import pytest
import torch

from stentor.errors import StentorError
from stentor.testing.signals import voiced
from stentor_tts import overlap, pitch
from stentor_tts.adversarial.spectral import mel_distance
from stentor_tts.convnext import ConvNeXt
from stentor_tts.mel import HOP, LOWEST, SAMPLE_RATE, filters, log_mel, of_windows
from stentor_tts.overlap import FFT, Overlap
from stentor_tts.vocoders import excitation
from stentor_tts.vocoders.griffin_lim import GriffinLim

LIKE = torch.zeros(1)


def buzz(hertz, seconds=0.5):
    frames = round(seconds * 100)
    told = torch.full((1, frames), hertz, dtype=torch.float64)
    return excitation.pulses(told, torch.ones(1, frames), excitation.initial_state(1, LIKE))[0]


@pytest.mark.parametrize("hertz", [80.0, 147.0, 310.0])
def test_the_tracker_finds_the_pitch_of_a_buzz_in_noise(hertz):
    torch.manual_seed(0)
    spectrum = torch.fft.rfft(buzz(hertz))
    sound = torch.fft.irfft(spectrum / torch.arange(50, 50 + spectrum.shape[-1]))  # as voices fall off
    found, voicing = pitch.track(sound + 0.3 * sound.std() * torch.randn_like(sound))
    inner = slice(5, -5)
    assert float((found[0, inner] / hertz).log().abs().max()) < 0.02
    assert float(voicing[0, inner].min()) > 0.5


def test_noise_and_silence_have_no_pitch():
    torch.manual_seed(0)
    assert float(pitch.track(0.1 * torch.randn(1, 8000))[1].mean()) < 0.2
    assert not pitch.track(torch.zeros(1, 8000))[1].any()


def test_the_grid_gives_back_what_it_was_told():
    hertz = torch.tensor([60.0, 101.3, 243.7, 500.0])
    assert torch.allclose(pitch.mean(pitch.targets(hertz).log()).float(), hertz, rtol=2e-3)


def test_pulses_have_all_harmonics_at_one_level_and_nothing_between():
    spectrum = torch.fft.rfft(buzz(200.0)[0, 800:]).abs()  # 0.45 s: bins of 2.2 Hz
    harmonics, between = spectrum[90::90][:-1], spectrum[45::90]
    assert float(harmonics.min()) > 0.9 * float(harmonics.max())
    assert float(between.max()) < 0.05 * float(harmonics.min())


def test_pulses_in_pieces_are_the_whole():
    told = 100 + 50 * torch.rand(1, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loud = torch.rand(1, 30, generator=torch.Generator().manual_seed(1))
    whole, _ = excitation.pulses(told, loud, excitation.initial_state(1, LIKE))
    state, pieces = excitation.initial_state(1, LIKE), []
    for part in (slice(0, 1), slice(1, 18), slice(18, 30)):
        piece, state = excitation.pulses(told[:, part], loud[:, part], state)
        pieces.append(piece)
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-6)


def test_noise_is_white_and_depends_on_the_position_alone():
    whole = excitation.noise(0, 16000, LIKE)
    assert torch.equal(excitation.noise(7001, 500, LIKE), whole[7001:7501])
    power = torch.fft.rfft(whole).abs().square().reshape(-1)[1:8001].reshape(8, -1).mean(1)
    assert float(power.max() / power.min()) < 1.3
    correlation = (whole[:-1] * whole[1:]).mean() / whole.square().mean()
    assert abs(float(correlation)) < 0.03


def test_both_sources_are_about_as_loud_as_the_bands_they_fill():
    size = overlap.transform(buzz(120.0).unfold(1, FFT, HOP)).abs()[0, 5:-5, 20:300].mean()
    assert 0.5 < float(size) < 2
    hiss = overlap.transform(excitation.noise(0, 8000, LIKE).unfold(0, FFT, HOP)).abs().mean()
    assert 0.7 < float(hiss) < 1.3


def test_fourier_frames_add_up_to_the_sound_away_from_the_ends():
    sound = voiced(30 * HOP, SAMPLE_RATE)[None]
    frames = torch.nn.functional.pad(sound, (240, 240)).unfold(1, FFT, HOP)
    state, pieces = Overlap.initial_state(1, sound), []
    spectra = overlap.transform(frames)
    for first, end in ((0, 1), (1, 14), (14, 30)):
        piece, state = Overlap.step(spectra[:, first:end], state, last=end == 30)
        pieces.append(piece)
    made = torch.cat(pieces, 1)
    assert made.shape == sound.shape
    assert torch.allclose(made[:, 240:-240], sound[:, 240:-240], atol=1e-6)


def test_magnitudes_under_the_bands_are_near_those_that_made_them():
    torch.manual_seed(0)
    noise = 0.1 * torch.randn(1, 100 * HOP)
    size = overlap.transform(torch.nn.functional.pad(noise, (240, 240)).unfold(1, FFT, HOP)).abs()
    guess = overlap.log_magnitudes(log_mel(noise)).exp()
    assert float((guess[0, 5:-5].mean(0)[10:310] / size[0, 5:-5].mean(0)[10:310]).log().abs().mean()) < 0.1


def test_what_was_first_used_in_inference_serves_training():
    filters.cache_clear()
    with torch.inference_mode():
        log_mel(torch.zeros(1, 3200))
    sound = torch.randn(1, 3200, requires_grad=True)
    log_mel(sound).sum().backward()
    assert sound.grad is not None


def test_frames_of_windows_are_those_of_the_waveform():
    sound = voiced(20 * HOP, SAMPLE_RATE)[None]
    windows = torch.nn.functional.pad(sound, (240, 240)).unfold(1, 640, HOP)
    assert torch.allclose(of_windows(windows), log_mel(sound), atol=1e-4)


def test_a_frame_sees_as_far_ahead_as_declared_and_no_further():
    torch.manual_seed(0)
    backbone = ConvNeXt(4, dim=8, layers=3, lookahead=5).eval()
    frames = torch.randn(1, 40, 4)
    other = frames.clone()
    other[:, 25:] += 1
    with torch.no_grad():
        moved = (backbone(frames) - backbone(other)).abs().amax(-1)[0] > 1e-6
    assert moved.nonzero()[0] == 20
    with pytest.raises(StentorError, match="between 0 and 12"):
        ConvNeXt(4, dim=8, layers=3, lookahead=13)


def test_griffin_lim_comes_nearer_with_every_round():
    sound = voiced(60 * HOP, SAMPLE_RATE)[None]
    frames, lengths = log_mel(sound), torch.tensor([60])
    few, many = (mel_distance(GriffinLim(iterations=count)(frames, lengths), sound) for count in (1, 24))
    assert float(many) < 0.7 * float(few)
    size = GriffinLim().magnitudes(frames)
    assert bool((size >= 0).all())
    assert float(GriffinLim()(torch.full((1, 20, 80), LOWEST), torch.tensor([20])).abs().max()) < 1e-3
