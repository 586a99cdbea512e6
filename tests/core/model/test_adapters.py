"""Adapters keep lengths, ignore padding and give a batch what its rows get alone."""

import pytest
import torch

from stentor.errors import StentorError
from stentor.plugins import registry

NAMES = ["linear", "stack", "convolution"]


def build(name, stride):
    torch.manual_seed(0)
    return registry().build("adapter", name, 6, 10, stride=stride).eval()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_a_row_in_a_padded_batch_equals_the_row_alone(name, stride):
    adapter = build(name, stride)
    lengths = torch.tensor([11, 4, 1])
    frames = torch.randn(3, 13, 6)
    out, out_lengths = adapter(frames, lengths)
    assert out_lengths.tolist() == [-(-n // stride) for n in lengths.tolist()]
    assert out.shape == (3, -(-13 // stride), 10)
    assert adapter.stride == type(adapter).stride_of(stride=stride) == stride
    for row, n, m in zip(range(3), lengths.tolist(), out_lengths.tolist(), strict=True):
        alone, _ = adapter(frames[row : row + 1, :n], torch.tensor([n]))
        torch.testing.assert_close(out[row, :m], alone[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_stride_below_one_is_refused(name):
    with pytest.raises(StentorError, match="at least 1"):
        build(name, 0)
