"""Random problems small enough to try every path."""

import math
from collections import defaultdict
from itertools import product

import torch


def posteriors(frames, width, seed, sharpness=1.0):
    """Log-probabilities [len(frames), max(frames), width] and lengths."""
    noise = torch.randn(len(frames), max(frames), width, generator=torch.Generator().manual_seed(seed))
    return (sharpness * noise).log_softmax(-1), torch.tensor(frames)


def collapse(path):
    return tuple(i for k, i in enumerate(path) if i and (k == 0 or path[k - 1] != i))


def every_reading(log_probs):
    """Token sequence -> log of its summed probability and of its best path's, over all paths of one utterance."""
    totals, bests = defaultdict(float), defaultdict(lambda: -math.inf)
    rows = log_probs.double().tolist()
    for path in product(range(log_probs.shape[1]), repeat=len(rows)):
        score = sum(row[i] for row, i in zip(rows, path))
        key = collapse(path)
        totals[key] += math.exp(score)
        bests[key] = max(bests[key], score)
    return {said: math.log(total) for said, total in totals.items()}, dict(bests)
