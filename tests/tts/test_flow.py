"""Flow matching: streams are the offline result, later codes do not reach back, guidance and noise keep their word."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec
from stentor.interfaces.tokenizer import Codebook
from stentor_tts.flow.dit import FlowDiT
from stentor_tts.flow.noise import noise, times
from stentor_tts.flow.sight import over_whole
from stentor_tts.flow.unet import FlowUNet
from stentor_tts.interfaces import Reference

SPEC = CodecSpec(16000, (Codebook("linguistic", 20, 50 / 3), Codebook("semantic", 15, 25.0)), (2, 3), 1920)
SIZES = {FlowDiT: {"dim": 32, "layers": 2, "heads": 2}, FlowUNet: {"dim": 32, "layers": 1, "heads": 2}}
KINDS = pytest.mark.parametrize("kind", [FlowDiT, FlowUNet])


def model(kind=FlowDiT, **changes):
    """One whose layers all do something: they begin at zero."""
    torch.manual_seed(0)
    made = kind(
        SPEC, **{**SIZES[kind], "hidden": 32, "steps": 2, "temperature": 1.0, "variation": 0.0, **changes}
    ).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


def codes(groups, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(size, (groups * n,), generator=chance) for size, n in ((20, 2), (15, 3)))


def cut(row, first, end):
    return row[0][2 * first : 2 * end], row[1][3 * first : 3 * end]


def mixed(before, after, group):
    return tuple(torch.cat([a[: group * n], b[group * n :]]) for a, b, n in zip(before, after, (2, 3), strict=True))


def mel(groups, seed=0):
    return torch.randn(12 * groups, 80, generator=torch.Generator().manual_seed(seed)) * 2 - 5


REFERENCE = Reference(mel(7), codes(7, 5))


@KINDS
@settings(max_examples=4, deadline=None)
@given(edges=st.lists(st.integers(0, 11), max_size=4))
def test_a_stream_is_the_offline_result_however_it_is_cut(kind, edges):
    speaker, said = model(kind, left=1), codes(11)
    whole = speaker.generate([said], [REFERENCE], seed=4)[0]
    state, made = speaker.initial_state(REFERENCE, seed=4), []
    places = [0, *sorted(edges), 11]
    for first, end in itertools.pairwise(places):
        frames, state = speaker.step(cut(said, first, end), state)
        made.append(frames)
    frames, _ = speaker.step(codes(0), state, last=True)
    torch.testing.assert_close(torch.cat([*made, frames]), whole, atol=1e-4, rtol=0)


@KINDS
def test_training_sees_what_a_stream_sees(kind):
    """The masked pass over the whole utterance, as in training, is the passes over its chunks."""
    speaker, said = model(kind, steps=1, guidance=0.0, left=1), codes(10)
    chunked = speaker.generate([said], [REFERENCE], seed=2)[0]
    grid, voice = speaker.grid, speaker.voice([REFERENCE])
    valid = torch.ones(1, 10 * grid.positions, dtype=torch.bool)
    told = {"chunk": 3 * grid.positions, "left": 1, "width": speaker.width, "like": speaker.silent}
    see = over_whole(valid, voice.valid, **told)
    start = noise(2, 0, 10, grid.positions, grid.channels)[None]
    with torch.no_grad():
        condition = speaker.time(torch.zeros(1)) + voice.vector
        spoken = speaker._said(grid.pack([said], valid.device)[0], valid)
        whole = speaker._mel(speaker.network(start, spoken, condition, voice.heard, see))[0]
    torch.testing.assert_close(chunked, whole, atol=1e-4, rtol=0)


@KINDS
@pytest.mark.parametrize("changed", [4, 7, 10])
def test_later_codes_reach_back_no_further_than_the_lookahead(kind, changed):
    speaker, first = model(kind), codes(11)
    second = mixed(first, codes(11, 9), changed)
    one, other = speaker.generate([first, second], [None, None])
    untouched = max(0, changed - speaker.lookahead) // speaker.chunk * speaker.chunk * 12
    assert torch.equal(one[:untouched], other[:untouched])
    assert not torch.equal(one[12 * changed :], other[12 * changed :])


def test_what_lies_further_back_than_the_past_of_a_chunk_does_not_matter():
    speaker, first = model(left=1, chunk=2, layers=1, steps=1), codes(12)
    second = mixed(codes(12, 9), first, 2)
    one, other = speaker.generate([first, second], [None, None])
    assert not torch.equal(one[:24], other[:24])
    assert torch.equal(one[12 * 6 :], other[12 * 6 :])


@KINDS
def test_without_chunks_it_sees_all_and_does_not_stream(kind):
    speaker, first = model(kind, chunk=0), codes(9)
    second = (first[0], torch.cat([first[1][:-3], codes(1, 8)[1]]))
    one, other = speaker.generate([first, second], [None, None])
    reach = 0 if kind is FlowDiT else 12
    assert not torch.equal(one[: 12 + reach], other[: 12 + reach])
    with pytest.raises(StentorError, match="chunk"):
        speaker.initial_state(None)


@KINDS
def test_guidance_of_zero_is_no_guidance(kind):
    said = codes(5)
    plain, hardly, strongly = (model(kind, guidance=rate).generate([said], [REFERENCE])[0] for rate in (0.0, 1e-7, 2.0))
    torch.testing.assert_close(plain, hardly, atol=1e-4, rtol=0)
    assert (plain - strongly).abs().max() > 1e-2


@KINDS
def test_the_seed_decides_and_nothing_else(kind):
    speaker, said = model(kind), codes(4)
    first = speaker.generate([said], [None], seed=1)[0]
    torch.rand(5)
    assert torch.equal(first, speaker.generate([said], [None], seed=1)[0])
    assert not torch.equal(first, speaker.generate([said], [None], seed=2)[0])


def test_at_temperature_zero_every_seed_gives_the_same():
    speaker, said = model(temperature=0.0), codes(4)
    assert torch.equal(*(speaker.generate([said], [None], seed=seed)[0] for seed in (1, 2)))


@KINDS
def test_a_batch_gives_what_its_rows_give_alone(kind):
    speaker = model(kind)
    said, voices = [codes(7), codes(2, 1), codes(4, 2)], [None, REFERENCE, Reference(mel(3))]
    for row, reference, together in zip(said, voices, speaker.generate(said, voices), strict=True):
        torch.testing.assert_close(speaker.generate([row], [reference])[0], together, atol=1e-4, rtol=0)


@KINDS
def test_the_loss_reaches_every_parameter(kind):
    speaker = model(kind, drop=0.3).train()
    torch.manual_seed(1)
    rows = [codes(6, seed) for seed in range(8)]
    speaker.loss(rows, [mel(6, seed) for seed in range(8)], ["ada"] * 6 + [""] * 2)[0].backward()
    still = {name for name, value in speaker.named_parameters() if value.grad is None or not value.grad.abs().sum()}
    assert still <= {"speaker.weigh.bias"}  # a bias before a softmax cancels


def test_the_loss_falls_to_what_a_perfect_network_has():
    class Perfect(torch.nn.Module):
        attentions = ()

        def forward(self, x, codes, condition, heard, see):
            return self.target

    speaker = model()
    speaker.network = Perfect()
    rows, mels = [codes(6), codes(6, 1)], [mel(6), mel(6, 1)]
    speaker.network.target = torch.stack([speaker.grid.stacked((one + 5) / 3) for one in mels])
    loss, parts = speaker.loss(rows, mels, ["", ""])
    assert float(loss) == pytest.approx(0.0, abs=1e-10) and parts["mel"] == pytest.approx(0.0, abs=1e-10)


def test_noise_belongs_to_the_place():
    whole = noise(3, 0, 6, 2, 5)
    assert torch.equal(noise(3, 2, 3, 2, 5), whole[4:10])
    assert not torch.equal(noise(4, 0, 6, 2, 5), whole)
    assert noise(3, 6, 0, 2, 5).shape == (0, 5)
    many = noise(0, 0, 500, 4, 20)
    assert abs(float(many.mean())) < 0.02 and abs(float(many.std()) - 1) < 0.02


@pytest.mark.parametrize("sway", [0.0, -0.5, -1.0])
def test_times_run_from_noise_to_speech(sway):
    found = times(5, sway)
    assert found[0] == 0 and found[-1] == pytest.approx(1) and found == sorted(found)
    assert found[1] <= 0.2


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"dim": 30}, "heads"), ({"steps": 0}, "steps"), ({"stack": 5}, "positions"), ({"sway": 0.5}, "sway")],
)
def test_settings_that_make_no_model_are_refused(changes, told):
    with pytest.raises(StentorError, match=told):
        FlowDiT(SPEC, **changes)


def test_the_unet_needs_an_even_number_of_positions():
    with pytest.raises(StentorError, match="even"):
        FlowUNet(SPEC, stack=4)
