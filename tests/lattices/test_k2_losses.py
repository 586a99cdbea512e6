"""k2's CTC against torch's, and lattice-free MMI against every path counted by hand."""

import math

import pytest

k2 = pytest.importorskip("k2", reason="k2 is tested by the lane .ci/lanes/k2, on Python 3.9")
import torch
from small_problems import every_reading, posteriors

from stentor_asr.lattice.losses import LatticeFreeMMI, ctc_loss
from stentor_asr.lattice.ngram import bigram

NAMES = ["a", "b", "c"]
SYMBOLS = {"a": 1, "b": 2, "c": 3}
SPOKEN = [["a", "b"], ["b", "c", "a"], ["a", "a"], []]


def torch_ctc(log_probs, lengths, targets):
    flat = torch.tensor([i for row in targets for i in row])
    counts = torch.tensor([len(row) for row in targets])
    return torch.nn.functional.ctc_loss(log_probs.transpose(0, 1), flat, lengths, counts, reduction="none")


def random_targets(frames, width, seed):
    """Targets that fit: repeats among them, and one without tokens."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randint(1, width, (length // 3,), generator=generator).tolist() for length in frames]
    return [*([row[0]] * 2 + row[2:] if len(row) > 1 else row for row in rows[:-1]), []]


def test_ctc_loss_and_gradient_are_torchs(measured):
    losses, gradients = 0.0, 0.0
    for seed, width in enumerate((3, 5, 30, 300)):
        frames = [60, 7, 33, 1, 90, 12]
        logits = posteriors(frames, width, seed)[0].clone().requires_grad_()
        lengths, targets = torch.tensor(frames), random_targets(frames, width, seed)
        ours, theirs = (loss(logits.log_softmax(-1), lengths, targets) for loss in (ctc_loss, torch_ctc))
        (mine,), (due,) = (torch.autograd.grad(loss.sum(), logits) for loss in (ours, theirs))
        losses = max(losses, float((ours - theirs).abs().max()))
        gradients = max(gradients, float((mine - due).abs().max()))
    measured("CTC loss of k2 and of torch, 24 utterances with repeats", losses)
    measured("gradient of the same", gradients)
    assert losses < 1e-4
    assert gradients < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_ctc_totals_are_those_of_all_paths(seed):
    log_probs, lengths = posteriors([5, 4], 4, seed)
    for row, length in enumerate(lengths.tolist()):
        totals, _ = every_reading(log_probs[row, :length])
        said = list(totals)[:20]
        mine = ctc_loss(log_probs[row : row + 1].expand(len(said), -1, -1), lengths[[row] * len(said)], said)
        assert torch.allclose(-mine.double(), torch.tensor([totals[one] for one in said]).double(), atol=1e-4)


def test_what_does_not_fit_is_infinite_for_ctc_and_costs_nothing_for_mmi():
    logits = posteriors([3, 3], 4, 0)[0].clone().requires_grad_()
    log_probs, lengths, targets = logits.log_softmax(-1), torch.tensor([3, 3]), [[1, 1, 2], [1, 2]]
    assert ctc_loss(log_probs, lengths, targets)[0] == math.inf
    loss = LatticeFreeMMI(bigram(SPOKEN, NAMES), SYMBOLS)(log_probs, lengths, targets)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert loss[0] == 0 < loss[1]
    assert torch.isfinite(gradient).all()
    assert not gradient[0].any()
    assert gradient[1].any()


@pytest.mark.parametrize("seed", range(6))
def test_mmi_is_the_share_among_all_readings(seed, measured):
    lm = bigram(SPOKEN, NAMES)
    log_probs, lengths = posteriors([5, 4, 3], 4, seed)
    targets = [[1, 2], [3], []]
    numerator, denominator = LatticeFreeMMI(lm, SYMBOLS).totals(log_probs, lengths, targets)
    worst = 0.0
    for row, (length, target) in enumerate(zip(lengths.tolist(), targets)):
        totals, _ = every_reading(log_probs[row, :length])
        weighted = {said: total + lm.sentence([NAMES[i - 1] for i in said]) for said, total in totals.items()}
        everything = torch.tensor(list(weighted.values())).logsumexp(0).item()
        worst = max(
            worst, abs(numerator[row].item() - weighted[tuple(target)]), abs(denominator[row].item() - everything)
        )
    measured(f"MMI numerator and denominator against all paths, seed {seed}", worst)
    assert worst < 1e-4


def test_numerator_is_never_above_the_denominator():
    frames = [40, 25, 9]
    for seed in range(5):
        log_probs, lengths = posteriors(frames, 4, seed, sharpness=3.0)
        targets = random_targets(frames, 4, seed)
        numerator, denominator = LatticeFreeMMI(bigram(SPOKEN, NAMES), SYMBOLS).totals(log_probs, lengths, targets)
        assert (numerator <= denominator + 1e-4).all()


def test_steps_along_the_gradient_of_mmi_lower_it_to_nothing():
    criterion = LatticeFreeMMI(bigram(SPOKEN, NAMES), SYMBOLS)
    logits = posteriors([12, 9], 4, 0)[0].clone().requires_grad_()
    lengths, targets = torch.tensor([12, 9]), [[1, 2, 2], [3, 1]]
    optimiser, losses = torch.optim.Adam([logits], lr=0.3), []
    for _ in range(60):
        loss = criterion(logits.log_softmax(-1), lengths, targets).sum()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        assert torch.isfinite(logits.grad).all()
        optimiser.step()
    assert all(after < before for before, after in zip(losses[:10], losses[1:11]))
    assert losses[-1] < 0.02 < 3 < losses[0]


def test_rows_of_a_batch_are_as_alone():
    criterion = LatticeFreeMMI(bigram(SPOKEN, NAMES), SYMBOLS)
    log_probs, lengths = posteriors([5, 11, 8], 4, 3)
    targets = [[1], [2, 3, 1], [1, 1]]
    together = criterion(log_probs, lengths, targets)
    for row in range(3):
        alone = criterion(log_probs[row : row + 1, : lengths[row]], lengths[row : row + 1], [targets[row]])
        assert torch.allclose(alone, together[row], atol=1e-4)
