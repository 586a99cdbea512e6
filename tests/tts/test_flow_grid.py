"""Where codes lie on the positions, what is drawn for training, and what is kept on disk."""

import pytest
import torch

from stentor.errors import StentorError
from stentor.interfaces.codec import CodecSpec
from stentor.interfaces.tokenizer import Codebook
from stentor_tts.flow.conditions import _QUICK, CodeEncoder
from stentor_tts.flow.examples import examples
from stentor_tts.flow.grid import Grid
from stentor_tts.flow.voices import VoiceWarp, applied, centres, envelope, stretched
from stentor_tts.mel import BINS, restored

DUAL = CodecSpec(16000, (Codebook("linguistic", 6561, 50 / 3), Codebook("semantic", 15, 25.0)), (2, 3), 1920)
ONE = CodecSpec(16000, (Codebook("codes", 50, 25.0),), (1,), 640)


def codes(groups, seed=0):
    chance = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(size, (groups * n,), generator=chance) for size, n in ((6561, 2), (15, 3)))


def test_codes_cover_their_share_of_a_group():
    assert Grid(DUAL, 2).overlap(2).argmax(1).tolist() == [0, 0, 0, 1, 1, 1]
    assert Grid(DUAL, 2).overlap(3).argmax(1).tolist() == [0, 0, 1, 1, 2, 2]
    assert Grid(DUAL, 4).overlap(2).tolist() == [[1, 0], [0.5, 0.5], [0, 1]]
    assert Grid(ONE, 2).overlap(1).tolist() == [[1], [1]]


def test_embeddings_of_all_codebooks_meet_at_each_position():
    encoder, said = CodeEncoder(Grid(DUAL, 2), 8, 1), codes(4)
    with torch.no_grad():
        made = encoder.embed([said[0].view(1, -1, 2), said[1].view(1, -1, 3)])[0]
        nothing = encoder.embed([torch.zeros(1, 1, 2, dtype=torch.int64), torch.zeros(1, 1, 3, dtype=torch.int64)])[0]
        linguistic, semantic = (table(row) - table.weight[0] for table, row in zip(encoder.tables, said, strict=True))
    for group in range(4):
        for place in range(6):
            both = linguistic[2 * group + place // 3] + semantic[3 * group + place // 2]
            torch.testing.assert_close(made[6 * group + place] - nothing[place], _QUICK * both)


def test_a_rate_that_gives_no_whole_positions_is_refused():
    with pytest.raises(StentorError, match="positions"):
        Grid(CodecSpec(24000, (Codebook("codes", 10, 75.0),), (1,), 320), 1)


@pytest.mark.parametrize("wrong", [([1, 2, 3], [1, 2, 3]), ([1, 2], [1, 2, 15]), ([1, -2], [1, 2, 3]), ([1, 2],)])
def test_codes_that_are_not_the_codecs_are_refused(wrong):
    with pytest.raises(StentorError):
        Grid(DUAL, 2).groups(tuple(torch.tensor(row) for row in wrong))


def test_references_come_from_other_utterances_of_the_speaker():
    grid = Grid(DUAL, 4)
    mels = [torch.full((12 * 9, BINS), float(-n)) for n in range(4)]
    made = examples(
        grid, [codes(9, n) for n in range(4)], mels, ["ada", "bob", "ada", ""], warp=None, chance=torch.Generator()
    )
    assert [round(-float(restored(row[0, 0]))) for row in made.reference] == [2, 1, 0, 3]
    assert made.counted[0].all() and made.counted[2].all()
    for row in (1, 3):  # nobody else speaks like them: a stretch of their own, which then costs nothing
        free = (~made.counted[row]).nonzero()[:, 0]
        assert len(free) == int(made.reference_valid[row].sum()) and free[-1] - free[0] + 1 == len(free)
        assert 2 * len(free) <= 27
        first, count = int(free[0]) // 3, len(free) // 3
        assert torch.equal(made.reference_codes[0][row, :count], made.codes[0][row, first : first + count])


def test_too_few_frames_are_refused():
    with pytest.raises(StentorError, match="frames"):
        examples(Grid(DUAL, 4), [codes(3)], [torch.zeros(20, BINS)], [""], warp=None, chance=None)


def test_a_voice_that_is_not_varied_stays():
    frames = torch.randn(2, 7, BINS) - 5
    kept = applied(frames, VoiceWarp(0.0, 1.2, 1.3, 2.0).draw(2, frames))
    torch.testing.assert_close(kept, frames, atol=1e-4, rtol=0)
    assert (applied(frames, VoiceWarp(1.0, 1.2, 1.3, 2.0).draw(2, frames)) - frames).abs().max() > 0.1


def test_stretching_moves_what_is_at_one_frequency_to_another():
    hertz = centres(torch.device("cpu"), torch.float32)
    for factor in (0.8, 1.0, 1.25):
        peak = torch.exp(-(((hertz - 1500) / 200) ** 2))
        moved = stretched(torch.tensor([[factor]]))[0] @ peak
        assert abs(float(hertz[moved.argmax()]) - 1500 * factor) < 60


def test_the_envelope_is_smooth_and_nothing_is_lost():
    smooth = envelope(torch.device("cpu"), torch.float64)
    torch.testing.assert_close(smooth @ smooth, smooth)
    slow = torch.linspace(-9, -3, BINS, dtype=torch.float64)
    ripple = torch.cos(torch.arange(BINS, dtype=torch.float64) * 2 * torch.pi / 5)
    assert (smooth @ slow - slow).abs().max() < 0.3 and (smooth @ ripple).abs().max() < 0.25
