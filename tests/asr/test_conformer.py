"""The conformer: its contract, its layers against padding, and that it hears in both directions."""

from __future__ import annotations

import pytest
import torch

from stentor.errors import StentorError
from stentor.testing.encoder import EncoderContract
from stentor_asr.conformer import Attention, Convolution, Subsampling, rotary_angles, rotate, within
from stentor_asr.encoder import Conformer

SMALL = {"dim": 32, "layers": 2, "heads": 2, "kernel": 5}


class TestConformer(EncoderContract):
    name = "conformer"
    config = SMALL


class TestConformerAtEighth(EncoderContract):
    name = "conformer"
    config = {**SMALL, "subsampling": 8}


class TestConformerAtSixth(EncoderContract):
    name = "conformer"
    config = {**SMALL, "subsampling": 6}


@pytest.mark.parametrize("strides", [(2, 2), (2, 3), (2, 2, 2)])
@pytest.mark.parametrize("frames", [1, 2, 7, 8, 23, 24])
def test_subsampling_gives_ceil_and_ignores_padding(strides: tuple[int, ...], frames: int) -> None:
    torch.manual_seed(0)
    module, factor = Subsampling(6, 8, strides), int(torch.tensor(strides).prod())
    rows, lengths = torch.randn(1, frames + 13, 6), torch.tensor([frames])
    with torch.no_grad():
        far, count = module(rows, lengths)
        near, _ = module(rows[:, :frames], lengths)
    assert count.tolist() == [-(-frames // factor)] and near.shape[1] == count[0]
    assert torch.allclose(far[:, : count[0]], near, atol=1e-6)


def test_rotated_products_depend_on_distance_alone() -> None:
    vectors = torch.randn(2, 1, 1, 8).expand(2, 1, 20, 8)
    turned = rotate(vectors, rotary_angles(20, 8, vectors))
    products = turned[0, 0] @ turned[1, 0].T
    assert torch.allclose(products[0, 5], products[10, 15], atol=1e-5)
    assert not torch.allclose(products[0, 5], products[0, 6], atol=1e-3)
    assert torch.allclose(turned.norm(dim=-1), vectors.norm(dim=-1), atol=1e-5)


@pytest.mark.parametrize("layer", ["attention", "convolution"])
def test_layers_do_not_look_at_padding(layer: str) -> None:
    torch.manual_seed(0)
    hidden, lengths = torch.randn(1, 12, 16), torch.tensor([7])
    angles = rotary_angles(12, 8, hidden)
    module = (Attention(16, 2, 0.0) if layer == "attention" else Convolution(16, 7, 0.0)).eval()
    other = torch.where(within(lengths, 12)[..., None], hidden, torch.randn(1, 12, 16))
    valid = within(lengths, 12)
    arguments = (valid, angles) if layer == "attention" else (valid,)
    with torch.no_grad():
        assert torch.allclose(module(hidden, *arguments)[:, :7], module(other, *arguments)[:, :7], atol=1e-6)


def test_every_frame_hears_the_whole_utterance() -> None:
    encoder = Conformer(**SMALL).eval()
    audio = torch.randn(1, 16000) * 0.1
    changed = audio.clone()
    changed[:, -1600:] *= -3
    with torch.no_grad():
        frames, other = (encoder(each, torch.tensor([16000]))[0] for each in (audio, changed))
    assert (frames[0, 0] - other[0, 0]).abs().max() > 1e-4


def test_masks_vary_training_and_not_use() -> None:
    encoder = Conformer(**SMALL, dropout=0.0)
    audio, lengths = torch.randn(2, 16000) * 0.1, torch.tensor([16000, 12000])
    with torch.no_grad():
        assert not torch.equal(encoder.train()(audio, lengths)[0], encoder(audio, lengths)[0])
        assert torch.equal(encoder.eval()(audio, lengths)[0], encoder(audio, lengths)[0])


@pytest.mark.parametrize(
    ("options", "path"), [({"dim": 30, "heads": 4}, "encoder.dim"), ({"kernel": 4}, "encoder.kernel")]
)
def test_sizes_that_do_not_fit_are_named(options: dict[str, int], path: str) -> None:
    with pytest.raises(StentorError) as caught:
        Conformer(**options)
    assert caught.value.path == path
