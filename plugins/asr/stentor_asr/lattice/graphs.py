"""Decoding graphs: CTC topology, n-gram acceptors, lexicon, and their composition (Mohri, Pereira and Riley 2002)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import k2
import torch

from stentor_asr.lattice.ngram import END, Context, NGram

Pronunciations = Sequence[tuple[str, Sequence[int]]]
_FINAL = -1


def topology(tokens: int) -> k2.Fsa:
    """CTC alone: frames to tokens ``1..tokens``, 0 is the blank; repeats merge unless a blank separates them."""
    return _finished(k2.ctc_topo(tokens))


def token_graph(lm: NGram, symbols: Mapping[str, int], *, weight: float = 1.0) -> k2.Fsa:
    """CTC composed with an n-gram over tokens.

    Args:
        lm: over the keys of `symbols`; each sentence is an utterance.
        symbols: token -> id, from 1.
        weight: what the model's log-probabilities are multiplied by.
    """
    topo = k2.ctc_topo(max(symbols.values()))
    return _finished(k2.compose(k2.arc_sort(topo), acceptor(lm, symbols)), weight)


def word_graph(
    lm: NGram,
    words: Mapping[str, int],
    lexicon: Pronunciations,
    *,
    separator: int | None = None,
    weight: float = 1.0,
) -> k2.Fsa:
    """CTC composed with a lexicon and an n-gram over words; ``aux_labels`` are words, ``tokens`` are tokens.

    Backing off is an arc of its own, as everywhere in weighted transducers: a word sequence scores at least what the
    model gives it, and more only where backing off is likelier than an n-gram that the model has. Of homophones after
    which the model backs off to the same context, the likelier alone is in the graph: the best path is exact, but the
    other one is in no n-best list.

    Args:
        lm: over the keys of `words`.
        words: word -> id, from 1.
        lexicon: (word, token ids) pairs; a word may have several.
        separator: token between two words, if the tokenizer has one.
        weight: what the model's log-probabilities are multiplied by.
    """
    first = max(separator or 0, *(max(ids) for _, ids in lexicon)) + 1
    backoff = max(words.values()) + 1
    spelled = lexicon_transducer(disambiguated(lexicon, first + 1), words, separator, first, backoff)
    graph = k2.compose(k2.arc_sort(spelled), acceptor(lm, words, backoff=backoff))
    graph = k2.connect(k2.determinize(k2.connect(graph)))
    graph.labels = torch.where(graph.labels >= first, torch.zeros_like(graph.labels), graph.labels)
    outputs = graph.aux_labels if isinstance(graph.aux_labels, torch.Tensor) else graph.aux_labels.values
    outputs[outputs == backoff] = 0
    graph = k2.connect(k2.remove_epsilon(graph))
    if not isinstance(graph.aux_labels, torch.Tensor):
        graph.aux_labels = graph.aux_labels.remove_values_eq(0)
    topo = k2.arc_sort(k2.ctc_topo(first - 1))
    return _finished(k2.compose(topo, k2.arc_sort(graph), inner_labels="tokens"), weight)


def acceptor(lm: NGram, symbols: Mapping[str, int], *, backoff: int | None = None) -> k2.Fsa:
    """An n-gram as an acceptor over `symbols`.

    Args:
        lm: n-grams with other words than `symbols` are left out.
        symbols: word -> label.
        backoff: label of backoff arcs; None gives every context an arc for every word, which is exact.
    """
    numbers: dict[Context, int] = {lm.start: 0}
    arcs: list[tuple[int, int | None, int, float]] = []
    waiting = [lm.start]
    while waiting:
        context = waiting.pop()
        for word, label, score in _leaving(lm, symbols, context, backoff):
            after = None if word == END else lm.context((*context, word)) if word else context[1:]
            if after is not None and after not in numbers:
                numbers[after] = len(numbers)
                waiting.append(after)
            arcs.append((numbers[context], None if after is None else numbers[after], label, score))
    if not any(label == _FINAL for _, _, label, _ in arcs):
        raise ValueError(f"the language model ends no sentence: it has no '{END}'")
    last = len(numbers)
    lines = [f"{a} {last if b is None else b} {label} {score:.9g}" for a, b, label, score in sorted(arcs, key=_source)]
    return k2.arc_sort(k2.Fsa.from_str("\n".join([*lines, str(last)]), acceptor=True))


def _source(arc: tuple[int, int | None, int, float]) -> int:
    return arc[0]


def _leaving(
    lm: NGram, symbols: Mapping[str, int], context: Context, backoff: int | None
) -> Iterable[tuple[str, int, float]]:
    """Word, label and score of the arcs that leave a context; the backoff arc has the empty word."""
    ways = [*symbols.items(), (END, _FINAL)]
    if backoff is None:
        found = ((word, label, lm.log_probability(word, context)) for word, label in ways)
        yield from ((word, label, score) for word, label, score in found if score > -math.inf)
        return
    for word, label in ways:
        if (*context, word) in lm.probabilities:
            yield word, label, lm.probabilities[(*context, word)]
    if context:
        yield "", backoff, lm.backoffs.get(context, 0.0)


def disambiguated(lexicon: Pronunciations, first: int) -> list[tuple[str, list[int]]]:
    """Pronunciations, each that another one equals or begins with made unlike by a mark at its end.

    Args:
        lexicon: (word, token ids).
        first: id of the first mark.
    """
    spelled = Counter(tuple(ids) for _, ids in lexicon)
    prefixes = {ids[:size] for ids in spelled for size in range(1, len(ids))}
    used: Counter = Counter()
    marked = []
    for word, ids in lexicon:
        key, mark = tuple(ids), []
        if spelled[key] > 1 or key in prefixes:
            mark = [first + used[key]]
            used[key] += 1
        marked.append((word, [*ids, *mark]))
    return marked


def lexicon_transducer(
    lexicon: Pronunciations, words: Mapping[str, int], separator: int | None, backoff: int, word_backoff: int
) -> k2.Fsa:
    """Tokens to words; a loop ``backoff:word_backoff`` after every word lets the language model back off.

    States are 0 at the beginning, and where there is a separator, 1 before and 2 after every word.
    """
    before, after = (0, 0) if separator is None else (1, 2)
    arcs = [(state, state, backoff, word_backoff) for state in {0, after}]
    if separator is not None:
        arcs += [(0, before, 0, 0), (after, before, separator, 0)]
    states = after + 1
    for word, ids in lexicon:
        path = [before, *range(states, states + len(ids) - 1), after]
        states += len(ids) - 1
        outputs = [words[word], *([0] * (len(ids) - 1))]
        arcs += list(zip(path, path[1:], ids, outputs))
    arcs += [(state, states, _FINAL, _FINAL) for state in {0, after}]
    lines = ["{} {} {} {} 0".format(*arc) for arc in sorted(arcs)]
    return k2.Fsa.from_str("\n".join([*lines, str(states)]), acceptor=False)


def _finished(graph: k2.Fsa, weight: float = 1.0) -> k2.Fsa:
    """Connected and sorted; ``lm_scores`` hold what of the scores is the language model's."""
    graph = k2.arc_sort(k2.connect(graph))
    graph.scores = graph.scores * weight
    graph.lm_scores = graph.scores.clone()
    return k2.create_fsa_vec([graph])
