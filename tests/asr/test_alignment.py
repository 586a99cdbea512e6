"""CTC alignment, against every path counted by hand and against torchaudio's kernel."""

import json
import tracemalloc
from itertools import pairwise, product
from pathlib import Path

import pytest
import torch

from stentor_asr import alignment
from stentor_asr.alignment import ctc_path, ctc_paths


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


def test_spans_and_scores_are_those_of_torchaudio():
    """Against what torchaudio's own kernel and merge_tokens gave, equal scores (ties) among them."""
    for case in json.loads((Path(__file__).parent / "forced_align.json").read_text())["cases"]:
        log_probs = torch.tensor(case["scores"]) / case["step"]
        (spans,) = ctc_paths(log_probs[None], [len(log_probs)], [case["ids"]])
        expected = case["spans"] or []
        assert [(span.start, span.end) for span in spans] == [(start, end) for _, start, end, _ in expected]
        assert [span.score for span in spans] == pytest.approx([score for *_, score in expected], abs=1e-5)
        assert not expected or [token for token, *_ in expected] == case["ids"]


def ragged(seed, rows=6):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 90, (rows,), generator=generator).tolist()
    log_probs = (2 * torch.randn(rows, max(lengths), 7, generator=generator)).log_softmax(-1)
    counts = [int(torch.randint(0, length + 2, (1,), generator=generator)) for length in lengths]
    return log_probs, lengths, [torch.randint(1, 7, (n,), generator=generator).tolist() for n in counts]


@pytest.mark.parametrize("seed", range(10))
def test_batch_equals_single(seed):
    log_probs, lengths, targets = ragged(seed)
    together = ctc_paths(log_probs, lengths, targets)
    for row, spans in enumerate(together):
        alone = ctc_paths(log_probs[row : row + 1, : lengths[row]], lengths[row : row + 1], targets[row : row + 1])
        assert alone == [spans]


@pytest.mark.parametrize("budget", [1, 2000, 2**30])
def test_memory_changes_no_path(monkeypatch, budget):
    """However few scores are kept, down to those of the first frame alone."""
    log_probs, lengths, targets = ragged(3)
    usual = ctc_paths(log_probs, lengths, targets)
    monkeypatch.setattr(alignment, "KEPT_BYTES", budget)
    assert ctc_paths(log_probs, lengths, targets) == usual


def test_memory_of_a_long_file_is_bounded():
    """What is held at the peak is a small part of the table of frames times states."""
    frames, tokens = 6000, 2000
    log_probs = torch.randn(1, frames, 12, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    ids = torch.randint(1, 12, (tokens,), generator=torch.Generator().manual_seed(1)).tolist()
    tracemalloc.start()
    (spans,) = ctc_paths(log_probs, [frames], [ids])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(spans) == tokens and peak < 0.25 * frames * (2 * tokens + 1)
    assert all(first.end <= second.start for first, second in pairwise(spans))
