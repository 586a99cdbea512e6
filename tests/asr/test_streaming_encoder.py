"""The conformer chunk by chunk: equal to the whole for any blocks, blind to what comes after, and optional."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.testing.encoder import EncoderContract
from stentor.testing.signals import voiced
from stentor_asr.encoder import Conformer

SMALL = {"dim": 32, "layers": 2, "heads": 2, "kernel": 5, "chunk": 4, "left": 2}
SHAPES = [{}, {"subsampling": 6}, {"subsampling": 8, "chunk": 3}, {"left": 0}, {"chunk": 1, "left": 7}]


class TestChunkedConformer(EncoderContract):
    name = "conformer"
    config = SMALL
    tolerance = 1e-5


class TestChunkedConformerAtSixth(EncoderContract):
    name = "conformer"
    config = {**SMALL, "subsampling": 6, "chunk": 8, "left": 1}
    tolerance = 1e-5


def built(**changes: int) -> Conformer:
    torch.manual_seed(0)
    return Conformer(**{**SMALL, **changes}).eval()


def streamed(encoder: Conformer, audio: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Frames of `audio` [1, N] in blocks of `sizes`, over and over until it ends."""
    state, found, at, turn = encoder.initial_state(1), [], 0, 0
    while at < audio.shape[1]:
        end = min(at + sizes[turn % len(sizes)], audio.shape[1])
        some, state = encoder.step(audio[:, at:end], state)
        found.append(some)
        at, turn = end, turn + 1
    return torch.cat([*found, encoder.step(audio[:, :0], state, last=True)[0]], 1)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    shape=st.sampled_from(SHAPES),
    samples=st.integers(1, 30_000),
    sizes=st.lists(st.integers(0, 16_000), min_size=1, max_size=6).filter(lambda sizes: sum(sizes) > 2_000),
)
def test_any_blocks_give_what_the_whole_gives(shape: dict[str, int], samples: int, sizes: list[int]) -> None:
    encoder, audio = built(**shape), voiced(samples, 16_000)[None]
    with torch.no_grad():
        offline = encoder(audio, torch.tensor([samples]))[0]
    assert offline.shape[1] == encoder.frames(samples)
    torch.testing.assert_close(streamed(encoder, audio, sizes), offline, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_chunk_sees_nothing_after_it_and_little_before(shape: dict[str, int]) -> None:
    encoder, audio = built(**shape), voiced(48_000, 16_000)[None]
    edge = encoder.span.chunk * 5
    sample = round(edge / encoder.frame_rate * 16_000) + 400
    other = audio.clone()
    other[:, sample:] *= -3
    with torch.no_grad():
        frames, changed = (encoder(each, torch.tensor([48_000]))[0] for each in (audio, other))
    assert torch.equal(frames[:, :edge], changed[:, :edge])
    assert not torch.allclose(frames[:, edge:], changed[:, edge:], atol=1e-4)


def test_training_in_chunks_gives_every_weight_a_gradient_and_no_nan() -> None:
    encoder = built().train()
    audio, lengths = torch.randn(3, 32_000) * 0.1, torch.tensor([32_000, 400, 9_000])
    frames, counts = encoder(audio, lengths)
    frames.square().sum().backward()
    assert counts.tolist() == [encoder.frames(n) for n in lengths.tolist()]
    assert all(value.grad is not None and torch.isfinite(value.grad).all() for value in encoder.parameters())


def test_weights_fit_both_modes() -> None:
    whole, chunked = Conformer(**{**SMALL, "chunk": 0}), built()
    assert whole.state_dict().keys() == chunked.state_dict().keys()
    chunked.load_state_dict(whole.state_dict())
    assert chunked.streams and not whole.streams


def test_one_chunk_as_long_as_the_utterance_attends_like_the_whole() -> None:
    """Attention in one chunk is attention over the utterance; only convolutions and normalisation differ."""
    from stentor_asr.chunked import Span, _attend, beginning
    from stentor_asr.conformer import rotary_angles, within

    block, hidden, lengths = built().blocks[0], torch.randn(2, 24, 32), torch.tensor([24, 17])
    valid = within(lengths, 24)
    with torch.no_grad():
        whole = block.attention(hidden, valid, rotary_angles(24, 16, hidden))
        mixed = _attend(block.attention, Span(24, 1), hidden, valid, beginning(block, Span(24, 1), 2, hidden))[0]
    torch.testing.assert_close(mixed[valid], whole[valid], atol=1e-5, rtol=0)


def test_who_does_not_stream_says_what_would() -> None:
    with pytest.raises(StentorError, match=r"encoder\.chunk"):
        Conformer(**{**SMALL, "chunk": 0}).initial_state(1)
    with pytest.raises(StentorError) as caught:
        Conformer(**{**SMALL, "chunk": -1})
    assert caught.value.path == "encoder.chunk"
