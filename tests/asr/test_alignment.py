"""CTC alignment in pure torch, against every path counted by hand."""

from itertools import product

import pytest
import torch

from stentor_asr.alignment import ctc_path


def collapse(path):
    return [i for k, i in enumerate(path) if i and (k == 0 or path[k - 1] != i)]


def best_by_hand(log_probs, ids):
    paths = (p for p in product(range(log_probs.shape[1]), repeat=len(log_probs)) if collapse(p) == list(ids))
    return max(paths, key=lambda path: sum(log_probs[t, i].item() for t, i in enumerate(path)), default=None)


@pytest.mark.parametrize("ids", [[1], [1, 2], [2, 2], [1, 2, 1]])
@pytest.mark.parametrize("seed", range(5))
def test_times_are_those_of_the_best_of_all_paths(ids, seed):
    log_probs = torch.randn(6, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    best = best_by_hand(log_probs, ids)
    runs = []
    for k, i in enumerate(best):
        if i and (k == 0 or best[k - 1] != i):
            runs.append((k, k))
        elif i:
            runs[-1] = (runs[-1][0], k)
    assert ctc_path(log_probs, ids) == runs


def test_too_few_frames_or_no_tokens_give_no_times():
    log_probs = torch.zeros(2, 3).log_softmax(-1)
    assert ctc_path(log_probs, []) == []
    assert ctc_path(log_probs, [1, 2, 1]) == []
    assert ctc_path(log_probs, [1, 1]) == []
