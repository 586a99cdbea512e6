"""When each token was said: Viterbi alignment of known tokens to CTC posteriors, in pure torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def ctc_path(log_probs: Tensor, ids: Sequence[int], *, blank: int = 0) -> list[tuple[int, int]]:
    """Best monotonic path of known tokens through CTC posteriors (Graves et al., 2006, section 4.1).

    Args:
        log_probs: float [T, V] of one utterance.
        ids: its tokens, in the posteriors' numbering.
        blank: index of the blank.

    Returns:
        First and last frame of each token; empty when the utterance has too few frames to hold them.
    """
    if not ids:
        return []
    states = torch.full((2 * len(ids) + 1,), blank)
    states[1::2] = torch.tensor(list(ids))
    emitted = log_probs[:, states]
    skip = torch.zeros(len(states), dtype=torch.bool)
    skip[3::2] = states[3::2] != states[1:-2:2]
    score = torch.full((len(states),), -torch.inf)
    score[:2] = emitted[0, :2]
    steps = torch.zeros(len(log_probs), len(states), dtype=torch.int64)
    for frame in range(1, len(log_probs)):
        one = torch.cat([score.new_full((1,), -torch.inf), score[:-1]])
        two = torch.cat([score.new_full((2,), -torch.inf), score[:-2]]).masked_fill(~skip, -torch.inf)
        best, steps[frame] = torch.stack([score, one, two]).max(0)
        score = best + emitted[frame]
    return _trace(steps, score, len(ids))


def _trace(steps: Tensor, score: Tensor, tokens: int) -> list[tuple[int, int]]:
    last = len(score) - 1
    state = last if score[last] >= score[last - 1] else last - 1
    if not torch.isfinite(score[state]):
        return []
    found: list[list[int]] = [[] for _ in range(tokens)]
    for frame in range(len(steps) - 1, -1, -1):
        if state % 2:
            found[state // 2].append(frame)
        state -= int(steps[frame, state])
    return [(frames[-1], frames[0]) for frames in found]
