"""Generator and discriminators in one loss, of which every parameter gets its own gradient and nothing else."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from stentor_tts.adversarial.discriminators import Discriminators, Judged

_QUIET = 0.003


def play(judges: Discriminators, made: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Losses of one round over waveforms [B, N]: of the discriminators, of the generator, and feature matching.

    The discriminators judge `made` twice: cut off from the generator for their own hinge loss (Lim and Ye, arXiv
    1705.02894), and with their weights held fixed for the generator's. So the sum of the three can go through one
    backward pass and one optimiser, and is what two alternating steps on the same batch would give.
    """
    level = wanted.std(-1, keepdim=True).clamp(min=_QUIET)  # one for both: how loud a crop is tells nothing
    made, wanted = made / level, wanted / level
    both = judges(torch.cat([wanted, made.detach()]))
    frozen = {name: value.detach() for name, value in judges.state_dict(keep_vars=True).items()}
    fooled: list[Judged] = functional_call(judges, frozen, (made,))
    count, half = len(both), len(wanted)
    zero = made.new_zeros(())
    judging, fooling, matching = zero, zero, zero
    for (score, hidden), (mine, ours) in zip(both, fooled, strict=True):
        judging = judging + functional.relu(1 - score[:half]).mean() + functional.relu(1 + score[half:]).mean()
        fooling = fooling + functional.relu(1 - mine).mean()
        matching = matching + _match(ours, [one[:half].detach() for one in hidden])
    return judging / count, fooling / count, matching / count


def stretch(made: Tensor, wanted: Tensor, samples: int) -> tuple[Tensor, Tensor]:
    """The same random stretch of `samples` of two waveforms [B, N], all of them where that is longer."""
    start = int(torch.randint(max(0, made.shape[-1] - samples) + 1, ()))
    return made[..., start : start + samples], wanted[..., start : start + samples]


def _match(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """Feature matching (arXiv 2010.05646), relative to the size of the features so that no layer drowns another."""
    parts = [(one - two).abs().mean() / two.abs().mean().clamp(min=1e-4) for one, two in zip(ours, theirs, strict=True)]
    return sum(parts[1:], parts[0]) / len(parts)
