"""Training against discriminators: one backward pass is two fair ones, and crops are what they say."""

import math

import pytest
import torch
from torch.nn import functional

from stentor.testing.signals import voiced
from stentor_tts.adversarial.crops import crops, noisy, varied
from stentor_tts.adversarial.discriminators import Discriminators
from stentor_tts.adversarial.game import play, stretch
from stentor_tts.adversarial.objective import WaveformObjective
from stentor_tts.adversarial.spectral import mel_distance, stft_distance

SAMPLES = 960
SETTINGS = {
    "periods": (3,),
    "windows": (256,),
    "channels": 4,
    "resolutions": (256,),
    "mel": 1.0,
    "stft": 1.0,
    "adversarial": 1.0,
    "matching": 2.0,
    "after": 0.5,
    "heard": SAMPLES,
}


@pytest.fixture
def game():
    """Discriminators, the one weight of a generator, its waveforms and the wanted ones."""
    torch.manual_seed(0)
    wanted = torch.stack([voiced(SAMPLES, 16000, pitch) for pitch in (110.0, 190.0)])
    weight = torch.tensor(0.5, requires_grad=True)
    return Discriminators((3,), (256,), 4), weight, weight * wanted.flip(0), wanted


def gradients(loss, parameters):
    return torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)


def test_discriminators_get_the_gradient_of_their_own_loss_only(game):
    judges, _, made, wanted = game
    parameters = list(judges.parameters())
    together = gradients(sum(play(judges, made, wanted)), parameters)
    level = wanted.std(-1, keepdim=True)
    real, fake = judges(wanted / level), judges(made.detach() / level)
    own = sum(functional.relu(1 - yes[0]).mean() + functional.relu(1 + no[0]).mean()
              for yes, no in zip(real, fake, strict=True)) / 2  # fmt: skip
    alone = gradients(own, parameters)
    assert all(float(due.abs().max()) > 0 for due, one in zip(alone, parameters, strict=True) if one.ndim > 1)
    for mine, due in zip(together, alone, strict=True):
        assert torch.allclose(mine, due, rtol=1e-3, atol=1e-5)


def test_the_generator_gets_none_of_the_discriminators_loss(game):
    judges, weight, made, wanted = game
    judging, fooling, matching = play(judges, made, wanted)
    assert gradients(judging, [weight]) == (None,)
    both = gradients(judging + fooling + matching, [weight])[0]
    assert torch.allclose(both, gradients(fooling + matching, [weight])[0])
    heard = judges(made / wanted.std(-1, keepdim=True))
    score = sum(functional.relu(1 - one[0]).mean() for one in heard) / 2
    assert torch.allclose(gradients(fooling, [weight])[0], gradients(score, [weight])[0])


def test_descent_on_the_sum_makes_the_discriminators_better(game):
    judges, _, made, wanted = game
    parameters, losses, rate = list(judges.parameters()), [], 0.5
    for _ in range(12):
        parts = play(judges, made.detach(), wanted)
        losses.append(float(parts[0].detach()))
        slopes = gradients(sum(parts), parameters)
        with torch.no_grad():
            for parameter, slope in zip(parameters, slopes, strict=True):
                parameter.sub_(slope, alpha=rate)
    assert losses[-1] < 0.9 * losses[0]


def test_discriminators_play_after_their_share_of_the_budget_and_only_while_training():
    torch.manual_seed(0)
    objective, sound = WaveformObjective(**SETTINGS), voiced(SAMPLES, 16000)[None]
    made = 0.5 * sound
    assert "judging" not in objective(made, sound, 0.49)[1]
    assert "judging" in objective(made, sound, 0.5)[1]
    with torch.no_grad():
        assert "judging" not in objective(made, sound, 0.5)[1]
    assert WaveformObjective(**SETTINGS | {"adversarial": 0.0}).judges is None


def test_distances_are_zero_for_the_same_and_grow_with_the_difference():
    sound = voiced(SAMPLES, 16000)[None]
    noise = 0.01 * torch.randn(sound.shape, generator=torch.Generator().manual_seed(0))
    for distance in (mel_distance, lambda a, b: stft_distance(a, b, (256, 512))):
        near, far = distance(sound + noise, sound), distance(sound + 10 * noise, sound)
        assert float(distance(sound, sound)) < 1e-4 < float(near) < float(far)


def test_a_stretch_is_of_the_same_place_in_both():
    torch.manual_seed(0)
    sound = torch.arange(100.0)[None]
    left, right = stretch(sound, sound + 1000, 20)
    assert left.shape == (1, 20) and torch.equal(right - left, torch.full((1, 20), 1000.0))
    assert stretch(sound, sound, 500)[0].shape == (1, 100)


def test_crops_lie_in_their_rows_and_short_rows_end_in_silence():
    torch.manual_seed(0)
    audio = torch.arange(1.0, 101.0).repeat(2, 1)
    found = crops(audio, torch.tensor([100, 8]), 20)
    assert torch.equal(found[0].diff(), torch.ones(19))
    assert torch.equal(found[1], torch.cat([torch.arange(1.0, 9.0), torch.zeros(12)]))
    starts = {float(crops(audio, torch.tensor([100, 100]), 20)[0, 0]) for _ in range(40)}
    assert len(starts) > 10


def test_tempo_changes_the_pitch_of_a_crop():
    torch.manual_seed(0)
    tone = torch.sin(2 * math.pi * 500 * torch.arange(32000) / 16000)[None]
    found = []
    for _ in range(20):
        crop = crops(tone, torch.tensor([32000]), 8000, tempo=0.3)
        assert crop.shape == (1, 8000)
        assert float(crop[0, 1000:-1000].abs().max()) == pytest.approx(1.0, abs=0.05)
        found.append(int(torch.fft.rfft(crop * torch.hann_window(8000)).abs().argmax()) * 2)
    assert all(500 / 1.3 - 3 <= one <= 500 * 1.3 + 3 for one in found)
    assert min(found) < 450 and max(found) > 550


def test_levels_vary_and_nothing_clips():
    torch.manual_seed(0)
    audio = 0.2 * torch.sin(torch.arange(1000.0)).repeat(64, 1)
    gains = 20 * torch.log10(varied(audio, 12.0).abs().amax(1) / 0.2)
    assert float(gains.min()) < -8 and float(gains.max()) > 8
    assert float(gains.abs().max()) <= 12.01
    assert float(varied(4 * audio, 12.0).abs().max()) <= 0.951


def test_noise_comes_to_its_share_of_crops_between_its_bounds():
    torch.manual_seed(0)
    audio = torch.sin(torch.arange(4000.0)).repeat(200, 1)
    added = noisy(audio, 0.5) - audio
    touched = added.abs().amax(1) > 0
    assert 70 < int(touched.sum()) < 130
    below = 20 * torch.log10(added[touched].std(1) / audio[touched].std(1))
    assert -40.1 <= float(below.min()) < -30 and -10 < float(below.max()) <= -4.9
