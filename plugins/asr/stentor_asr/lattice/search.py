"""Pruned search through a decoding graph: lattices, best paths, n-best lists, rescoring with another n-gram."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import k2
import torch
from k2.nbest import whole_lattice_rescoring
from torch import Tensor

from stentor_asr.lattice.graphs import acceptor
from stentor_asr.lattice.ngram import NGram


@dataclass(frozen=True)
class Beam:
    """How much of the lattice is kept.

    Attributes:
        search: how far behind the best state of a frame another one may lie (natural logarithm).
        output: how far behind the best path a path of the lattice may lie.
        fewest: states kept in every frame, whatever the beam.
        most: states kept in every frame at most.
    """

    search: float = 20.0
    output: float = 8.0
    fewest: int = 30
    most: int = 10000


@dataclass(frozen=True)
class Hypothesis:
    """One way to read an utterance.

    Attributes:
        symbols: ids of words where the graph has a lexicon, else of tokens.
        score: `acoustic` and `lm` together.
        acoustic: log-probability of its best alignment.
        lm: weighted log-probability of the language model.
    """

    symbols: tuple[int, ...]
    score: float
    acoustic: float
    lm: float


def lattices(log_probs: Tensor, lengths: Tensor, graph: k2.Fsa, beam: Beam = Beam()) -> k2.Fsa:
    """One lattice for each utterance, found frame by frame within a beam.

    Args:
        log_probs: float [B, T, V], index 0 the blank.
        lengths: int [B], valid frames, at least 1 each.
        graph: of `stentor_asr.lattice.graphs`, on the device of `log_probs`.
        beam: what is kept.
    """
    segments = torch.zeros(len(lengths), 3, dtype=torch.int32)
    segments[:, 0] = torch.arange(len(lengths))
    segments[:, 2] = lengths.cpu()
    dense = k2.DenseFsaVec(log_probs.detach().float(), segments)
    return k2.intersect_dense_pruned(graph, dense, beam.search, beam.output, beam.fewest, beam.most)


def best(lattice: k2.Fsa) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens and symbols (words, where the graph has a lexicon) of each utterance's best path; of a tie, one."""
    paths = k2.shortest_path(lattice, use_double_scores=True)
    symbols = k2.get_aux_labels(paths)
    if not hasattr(paths, "tokens"):
        return symbols, symbols
    rows = k2.RaggedTensor(paths.arcs.shape().remove_axis(1), paths.tokens)
    return rows.remove_values_leq(0).tolist(), symbols


def decoded(log_probs: Tensor, lengths: Tensor, graph: k2.Fsa, beam: Beam = Beam()) -> list[list[int]]:
    """Tokens of each utterance's best path; an utterance without frames, or without a path, has none.

    Args:
        log_probs: float [B, T, V], index 0 the blank.
        lengths: int [B], valid frames.
        graph: of `stentor_asr.lattice.graphs`.
        beam: what is kept.
    """
    heard = torch.nonzero(lengths.cpu() > 0)[:, 0]
    rows: list[list[int]] = [[] for _ in range(len(lengths))]
    if len(heard):
        lattice = lattices(log_probs[heard.to(log_probs.device)], lengths.cpu()[heard], graph, beam)
        for row, tokens in zip(heard.tolist(), best(lattice)[0]):
            rows[row] = tokens
    return rows


def best_scores(lattice: k2.Fsa) -> Tensor:
    """Score of each utterance's best path, float64 [B]; minus infinity where nothing was found."""
    return lattice.get_tot_scores(use_double_scores=True, log_semiring=False)


def n_best(lattice: k2.Fsa, most: int, *, draws: int = 200, scale: float = 0.5) -> list[list[Hypothesis]]:
    """Distinct readings of each utterance, scored by their best alignments in the lattice, best first.

    Args:
        lattice: from `lattices`.
        most: at most so many.
        draws: how many paths are drawn to find distinct ones among them; the best path is always there.
        scale: of the scores while drawing; smaller finds more distinct ones.
    """
    found = _distinct(lattice, draws, scale)
    owners = torch.tensor([owner for owner, one in enumerate(found) for _ in one], dtype=torch.int32)
    readings = [reading for one in found for reading in one]
    paths = k2.shortest_path(_through(lattice, readings, owners), use_double_scores=True)
    scores = best_scores(paths).tolist()
    paths.scores = paths.lm_scores
    lms = best_scores(paths).tolist()
    lists: list[list[Hypothesis]] = [[] for _ in range(lattice.shape[0])]
    for owner, symbols, score, lm in zip(owners.tolist(), readings, scores, lms):
        if score > -math.inf:
            lists[owner].append(Hypothesis(symbols, score, score - lm, lm))
    return [sorted(one, key=_worst_last)[:most] for one in lists]


def rescored(
    lists: Sequence[Sequence[Hypothesis]], lm: NGram, names: Mapping[int, str], *, weight: float = 1.0
) -> list[list[Hypothesis]]:
    """N-best lists with another language model in place of the graph's, sorted anew.

    Args:
        lists: from `n_best`.
        lm: over the values of `names`.
        names: id -> word.
        weight: what the model's log-probabilities are multiplied by.
    """
    fresh = []
    for one in lists:
        scores = [weight * lm.sentence([names[i] for i in hypothesis.symbols]) for hypothesis in one]
        again = [Hypothesis(h.symbols, h.acoustic + score, h.acoustic, score) for h, score in zip(one, scores)]
        fresh.append(sorted(again, key=_worst_last))
    return fresh


def rescored_lattices(lattice: k2.Fsa, lm: NGram, symbols: Mapping[str, int], *, weight: float = 1.0) -> k2.Fsa:
    """Whole lattices with another language model in place of the graph's; what it cannot say is dropped.

    Args:
        lattice: from `lattices`; left as it is.
        lm: over the keys of `symbols`.
        symbols: word (or token) -> id.
        weight: what the model's log-probabilities are multiplied by.
    """
    labels = lattice.aux_labels if isinstance(lattice.aux_labels, Tensor) else lattice.aux_labels.values
    said = set(labels.unique().tolist())
    grammar = acceptor(lm, {word: label for word, label in symbols.items() if label in said})
    grammar.scores = grammar.scores * weight
    grammar.lm_scores = grammar.scores.clone()
    grammar = k2.create_fsa_vec([k2.arc_sort(k2.add_epsilon_self_loops(grammar))]).to(lattice.device)
    return k2.connect(k2.top_sort(whole_lattice_rescoring(lattice.clone(), grammar)))


def _worst_last(hypothesis: Hypothesis) -> tuple[float, tuple[int, ...]]:
    return -hypothesis.score, hypothesis.symbols


def _distinct(lattice: k2.Fsa, draws: int, scale: float) -> list[list[tuple[int, ...]]]:
    """Readings of the best path and of paths drawn in proportion to their scaled probability."""
    scaled = lattice.clone()
    scaled.scores = scaled.scores * scale
    drawn = k2.random_paths(scaled, use_double_scores=True, num_paths=draws)
    if isinstance(lattice.aux_labels, Tensor):
        rows = k2.ragged.index(lattice.aux_labels, drawn)
    else:
        rows = lattice.aux_labels.index(drawn)
        rows = rows.remove_axis(rows.num_axes - 2)
    pairs = zip(best(lattice)[1], rows.remove_values_leq(0).tolist())
    return [list(dict.fromkeys(map(tuple, [first, *others]))) for first, others in pairs]


def _through(lattice: k2.Fsa, readings: Sequence[Sequence[int]], owners: Tensor) -> k2.Fsa:
    """What of each reading's lattice says that reading: one lattice for each."""
    wanted = k2.add_epsilon_self_loops(k2.linear_fsa([list(one) for one in readings], lattice.device))
    saying = k2.arc_sort(k2.invert(lattice))
    found = k2.intersect_device(saying, wanted, b_to_a_map=owners.to(lattice.device), sorted_match_a=True)
    return k2.connect(k2.top_sort(k2.connect(found)))
