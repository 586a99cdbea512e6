"""The neural codecs: their quantisers, what codes depend on, and what a run keeps of them."""

import pytest
import torch

from stentor.errors import StentorError
from stentor.testing import CodecContract
from stentor.testing.signals import voiced
from stentor.train import assembly, made, parts, weights
from stentor_tts.codec import front
from stentor_tts.codec.neural import FSQCodec, RVQCodec
from stentor_tts.codec.quantisers import FiniteScalars, ResidualCodebooks
from stentor_tts.codec.task import NeuralCodecTask
from stentor_tts.mel import log_mel

SMALL = {"dim": 32, "layers": 1, "inner": 32, "inner_layers": 1}


class TestMimisRateAndAnySound(CodecContract):
    name = "fsq"
    config = {**SMALL, "frame_rate": 12.5, "head": "fourier"}


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (2, 3, 4)])
def test_every_finite_scalar_code_comes_back_from_its_vector(levels):
    quantiser = FiniteScalars(levels, 2)
    size = quantiser.sizes[0]
    codes = torch.stack([torch.arange(size), torch.arange(size).flip(0)], -1)[None]
    vectors = quantiser.vectors(codes)
    assert vectors.shape == (1, size, quantiser.dim) and float(vectors.abs().max()) <= 1
    assert len(vectors[0, :, : len(levels)].unique(dim=0)) == size
    # a vector of the middle of every cell rounds to that cell
    half = torch.tensor(levels * 2) // 2
    bounded = vectors * half
    reach = (torch.tensor(levels * 2) - 1) * (1 + 1e-3) / 2
    offset = torch.where(torch.tensor(levels * 2) % 2 == 0, 0.5, 0.0)
    raw = ((bounded + offset) / reach).atanh() - (offset / reach).atanh()
    assert torch.equal(quantiser.codes(raw), codes)
    kept, cost = quantiser(raw)
    assert torch.allclose(kept, vectors, atol=1e-6) and not cost


def test_finite_scalars_pass_gradients_straight_through():
    raw = torch.randn(1, 5, 6, requires_grad=True, generator=torch.Generator().manual_seed(0))
    FiniteScalars((5, 5, 5), 2)(raw)[0].sum().backward()
    assert bool((raw.grad > 0).all())


def test_each_residual_codebook_leaves_less():
    torch.manual_seed(0)
    quantiser = ResidualCodebooks(32, 4, 4, decay=0.8).train()
    vectors = torch.randn(1, 512, 4)
    for _ in range(60):
        quantiser(vectors)
    codes = quantiser.eval().codes(vectors)
    assert codes.shape == (1, 512, 4) and int(codes.max()) < 32
    left = []
    for count in (1, 2, 3, 4):
        kept = sum(quantiser.books[place][codes[..., place]] for place in range(count))
        left.append(float((vectors - kept).square().mean()))
    assert left == sorted(left, reverse=True) and left[-1] < 0.3 * left[0] < 0.3
    assert torch.allclose(quantiser.vectors(codes), kept)


def test_dead_codes_come_back_to_life():
    torch.manual_seed(0)
    quantiser = ResidualCodebooks(16, 1, 2).train()
    with torch.no_grad():
        quantiser.books += 100.0  # far from everything: one code would take all
    vectors = torch.randn(1, 400, 2)
    for _ in range(20):
        quantiser(vectors)
    assert len(quantiser.codes(vectors).unique()) >= 14


def test_codebooks_move_only_while_training():
    torch.manual_seed(0)
    quantiser = ResidualCodebooks(16, 2, 2).eval()
    before = quantiser.books.clone()
    kept, cost = quantiser(torch.randn(1, 50, 2, requires_grad=True))
    assert torch.equal(quantiser.books, before) and cost.requires_grad and kept.requires_grad


def test_frames_of_a_stream_are_those_of_the_whole():
    sound = voiced(20 * 160 + 33, 16000)[None]
    state, found = front.initial_state(1, sound), []
    for begin, end in ((0, 100), (100, 101), (101, 2000), (2000, sound.shape[1])):
        some, state = front.step(sound[:, begin:end], state, last=end == sound.shape[1])
        found.append(some)
    assert torch.allclose(torch.cat(found, 1), log_mel(sound), atol=1e-4)


def test_codes_see_15_ms_ahead_and_no_further():
    torch.manual_seed(0)
    codec = FSQCodec(**SMALL).eval()
    sound = voiced(16 * 640, 16000)[None]
    lengths = torch.tensor([sound.shape[1]])
    (whole,) = codec.encode(sound, lengths)
    changed = sound.clone()
    changed[:, 8 * 640 + 240 :] = 0.5
    (other,) = codec.encode(changed, lengths)
    assert all(torch.equal(a[:8], b[:8]) for a, b in zip(whole, other, strict=True))
    assert any(not torch.equal(a[8:], b[8:]) for a, b in zip(whole, other, strict=True))


def test_specs_say_what_was_asked_for_and_refuse_the_rest():
    spec = RVQCodec.spec(frame_rate=12.5, codebooks=8, size=2048)
    assert spec.pattern == (1,) * 8 and spec.group_samples == 1280 and spec.rate == 100
    assert FSQCodec.spec(levels=(8, 5, 5, 5)).codebooks[3].size == 1000
    for wrong in ({"frame_rate": 30.0}, {"frame_rate": 0.0}, {"codebooks": 0}, {"levels": (1,)}, {"levels": ()}):
        with pytest.raises(StentorError):
            FSQCodec.spec(**wrong)
    with pytest.raises(StentorError, match="at least 2"):
        RVQCodec.spec(size=1)


def test_the_task_says_which_codecs_it_trains():
    (problem,) = NeuralCodecTask.check({"codec": {"name": "dual"}})
    assert problem.path == "codec.name"
    assert NeuralCodecTask.check({"codec": {"name": "rvq"}}) == []


def test_a_run_gives_its_codec_to_others_without_the_discriminators(tmp_path):
    section = {"name": "rvq", "size": 16, **SMALL}
    config = {
        "name": "c",
        "task": {"name": "neural-codec", "channels": 4},
        "codec": section,
        "data": {},
        "evaluate": {},
    }
    trained, run = assembly.assemble(config, texts=[]).eval(), str(tmp_path / "codec")
    made.write(tmp_path / "codec", config, {}, weights.tensors(trained), "random")
    taken = assembly.build("codec", {**parts.section_of(run, "codec"), "run": run}).eval()
    assert taken.load_pretrained()["name"] == run
    assert {name for name, _ in taken.named_parameters()} < {n.removeprefix("codec.") for n in trained.state_dict()}
    sound = voiced(6400, 16000)[None]
    batch = {"audio": sound, "audio_lengths": torch.tensor([6400])}
    (said,) = trained.synthesise(batch)
    sounds, lengths = taken.decode(taken.encode(sound, batch["audio_lengths"]))
    assert torch.allclose(sounds[0], said, atol=1e-5) and int(lengths) == len(said) == 6400
    assert trained.statistics()["codebooks"][0]["size"] == 16
    assert trained.statistics() is None
    with pytest.raises(StentorError, match="configured like that"):
        assembly.build("codec", {**section, "size": 32, "run": run}).load_pretrained()
