"""Search through k2's lattices against every path, and against examples worked by hand."""

import math
from itertools import product

import pytest

k2 = pytest.importorskip("k2", reason="k2 is tested by the lane .ci/lanes/k2, on Python 3.9")
import functools
import operator

import torch
from small_problems import every_reading, posteriors

from stentor_asr.lattice import search
from stentor_asr.lattice.graphs import token_graph, topology, word_graph
from stentor_asr.lattice.ngram import END, NGram, bigram

WIDE = search.Beam(search=1e4, output=1e4, fewest=0, most=100000)
TOKENS = {"a": 1, "b": 2, "c": 3}
NAMES = {number: name for name, number in TOKENS.items()}
TOKEN_LM = bigram([["a", "b"], ["b", "c", "a"], ["a", "a"]], list(TOKENS))
WORDS = {"ab": 1, "b": 2, "bee": 3, "cab": 4}
WORD_NAMES = {number: name for name, number in WORDS.items()}
LEXICON = [("ab", [1, 2]), ("b", [2]), ("bee", [2, 2]), ("cab", [3, 1, 2])]
HOMOPHONES = [("ab", [1, 2]), ("b", [2]), ("bee", [2]), ("cab", [3, 1, 2])]
WORD_LM = bigram([["ab", "bee"], ["b", "ab"], ["cab", "bee", "b"]], list(WORDS))


def weighted(scores, lm, names, weight=1.0):
    return {said: score + weight * lm.sentence([names[i] for i in said]) for said, score in scores.items()}


def word_readings(log_probs, lexicon, separator=None):
    """Word ids -> score of their best path, over all paths of one utterance."""
    spellings, found, bests = dict(lexicon), {}, every_reading(log_probs)[1]
    for words in (words for count in range(4) for words in product(WORDS, repeat=count)):
        tokens = []
        for word in words:
            tokens += [*([separator] if tokens and separator is not None else []), *spellings[word]]
        if tuple(tokens) in bests:
            found[tuple(WORDS[word] for word in words)] = bests[tuple(tokens)]
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_best_of_all_paths(seed, measured):
    log_probs, lengths = posteriors([6, 5, 3], 4, seed)
    worst = 0.0
    for graph, lm in ((topology(3), None), (token_graph(TOKEN_LM, TOKENS, weight=0.7), TOKEN_LM)):
        lattice = search.lattices(log_probs, lengths, graph, WIDE)
        tokens, scores = search.best(lattice)[0], search.best_scores(lattice).tolist()
        for row, length in enumerate(lengths.tolist()):
            bests = every_reading(log_probs[row, :length])[1]
            due = weighted(bests, lm, NAMES, 0.7) if lm else bests
            worst = max(worst, abs(scores[row] - max(due.values())))
            assert due[tuple(tokens[row])] == pytest.approx(max(due.values()), abs=1e-4)
    measured(f"best path against all paths, seed {seed}", worst)
    assert worst < 1e-4


@pytest.mark.parametrize("separator", [None, 4])
@pytest.mark.parametrize("seed", range(3))
def test_word_sequences_are_those_of_all_paths(seed, separator, measured):
    log_probs, lengths = posteriors([6, 5], 4 if separator is None else 5, seed)
    lattice = search.lattices(log_probs, lengths, word_graph(WORD_LM, WORDS, LEXICON, separator=separator), WIDE)
    tokens, words = search.best(lattice)
    lists, worst = search.n_best(lattice, 5, draws=3000, scale=0.3), 0.0
    for row, length in enumerate(lengths.tolist()):
        due = weighted(word_readings(log_probs[row, :length], LEXICON, separator), WORD_LM, WORD_NAMES)
        assert [one.symbols for one in lists[row]] == sorted(due, key=due.get, reverse=True)[:5]
        assert tuple(words[row]) == lists[row][0].symbols
        between = [] if separator is None else [separator]
        spelled = [[*dict(LEXICON)[WORD_NAMES[word]], *between] for word in words[row]]
        assert tokens[row] == functools.reduce(operator.iadd, spelled, [])[: -1 if between else None]
        worst = max(worst, *(abs(one.score - due[one.symbols]) for one in lists[row]))
    measured(f"five best word sequences against all paths, seed {seed}, separator {separator}", worst)
    assert worst < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_the_language_model_decides_between_homophones(seed):
    log_probs, lengths = posteriors([6, 5], 4, seed)
    lattice = search.lattices(log_probs, lengths, word_graph(WORD_LM, WORDS, HOMOPHONES), WIDE)
    for row, words in enumerate(search.best(lattice)[1]):
        due = weighted(word_readings(log_probs[row, : lengths[row]], HOMOPHONES), WORD_LM, WORD_NAMES)
        assert due[tuple(words)] == pytest.approx(max(due.values()), abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_n_best_are_distinct_and_sorted_and_their_scores_add_up(seed):
    log_probs, lengths = posteriors([6, 4], 4, seed)
    lattice = search.lattices(log_probs, lengths, token_graph(TOKEN_LM, TOKENS), WIDE)
    for row, one in enumerate(search.n_best(lattice, 8, draws=500)):
        bests = every_reading(log_probs[row, : lengths[row]])[1]
        assert len({hypothesis.symbols for hypothesis in one}) == len(one) == 8
        assert [h.score for h in one] == sorted((h.score for h in one), reverse=True)
        for hypothesis in one:
            assert hypothesis.acoustic == pytest.approx(bests[hypothesis.symbols], abs=1e-4)
            assert hypothesis.lm == pytest.approx(TOKEN_LM.sentence([NAMES[i] for i in hypothesis.symbols]), abs=1e-4)
            assert hypothesis.score == pytest.approx(hypothesis.acoustic + hypothesis.lm, abs=1e-6)


def test_the_best_path_comes_first_however_few_are_drawn():
    log_probs, lengths = posteriors([6, 5], 4, 1)
    lattice = search.lattices(log_probs, lengths, topology(3), WIDE)
    for found, one in zip(search.best(lattice)[1], search.n_best(lattice, 10, draws=1)):
        assert tuple(found) == one[0].symbols


def model(pairs):
    """A bigram over a, b, c with the given pairs; everything else backs off to 0.25 each."""
    singles = {(word,): math.log(0.25) for word in (*TOKENS, END)}
    return NGram({**singles, **{pair: math.log(value) for pair, value in pairs.items()}}, {})


# two frames: a for sure, then c before b; a third possibility, a alone, is far behind
HEARD = torch.tensor([[[0.01, 0.97, 0.01, 0.01], [0.01, 0.01, 0.43, 0.55]]]).log()


def test_a_language_model_changes_what_is_heard():
    lengths = torch.tensor([2])
    assert search.decoded(HEARD, lengths, topology(3), WIDE) == [[1, 3]]
    # a b: .97 x .43 x P(a) .25 x P(b | a) .8 x P(end) .25; a c: .97 x .55 x .25 x .1 x .25
    graph = token_graph(model({("a", "b"): 0.8, ("a", "c"): 0.1}), TOKENS)
    lattice = search.lattices(HEARD, lengths, graph, WIDE)
    assert search.best(lattice)[0] == [[1, 2]]
    assert search.best_scores(lattice).item() == pytest.approx(math.log(0.97 * 0.43 * 0.25 * 0.8 * 0.25), abs=1e-4)
    first, second = search.n_best(lattice, 2)[0]
    assert (first.symbols, second.symbols) == ((1, 2), (1, 3))
    assert second.score == pytest.approx(math.log(0.97 * 0.55 * 0.25 * 0.1 * 0.25), abs=1e-4)
    # with a tenth of the model's weight, hearing wins again: .43 x .8^w < .55 x .1^w for w < .118
    light = token_graph(model({("a", "b"): 0.8, ("a", "c"): 0.1}), TOKENS, weight=0.1)
    assert search.decoded(HEARD, lengths, light, WIDE) == [[1, 3]]


def test_rescoring_is_the_arithmetic_of_its_weights():
    old = model({("a", "b"): 0.8, ("a", "c"): 0.1})
    new = model({("a", "b"): 0.02, ("a", "c"): 0.5})
    lattice = search.lattices(HEARD, torch.tensor([2]), token_graph(old, TOKENS), WIDE)
    lists = search.n_best(lattice, 4)
    (again,) = search.rescored(lists, new, NAMES, weight=0.5)
    assert [one.symbols for one in lists[0][:2]] == [(1, 2), (1, 3)]
    assert again[0].symbols == (1, 3)
    due = {(1, 2): (0.97 * 0.43, 0.25 * 0.02 * 0.25), (1, 3): (0.97 * 0.55, 0.25 * 0.5 * 0.25)}
    for one in (one for one in again if one.symbols in due):
        heard, said = (math.log(value) for value in due[one.symbols])
        assert (one.acoustic, one.lm) == pytest.approx((heard, 0.5 * said), abs=1e-4)
        assert one.score == pytest.approx(heard + 0.5 * said, abs=1e-4)
    whole = search.rescored_lattices(lattice, new, TOKENS, weight=0.5)
    assert search.best(whole)[0] == [[1, 3]]
    assert search.best_scores(whole).item() == pytest.approx(again[0].score, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_rescored_word_lattices_are_those_of_all_paths(seed, measured):
    log_probs, lengths = posteriors([6, 5], 4, seed)
    lattice = search.lattices(log_probs, lengths, word_graph(WORD_LM, WORDS, LEXICON), WIDE)
    before = search.best_scores(lattice)
    other = bigram([["bee", "bee"], ["ab", "b", "cab"]], list(WORDS))
    scores = search.best_scores(search.rescored_lattices(lattice, other, WORDS, weight=0.8))
    readings = [word_readings(log_probs[row, :length], LEXICON) for row, length in enumerate(lengths.tolist())]
    due = [max(weighted(one, other, WORD_NAMES, 0.8).values()) for one in readings]
    worst = float((scores - torch.tensor(due).double()).abs().max())
    measured(f"rescored word lattices against all paths, seed {seed}", worst)
    assert worst < 1e-4
    assert torch.equal(search.best_scores(lattice), before)


def test_a_narrower_beam_keeps_less_and_finds_nothing_better():
    log_probs, lengths = posteriors([80, 60], 30, 0, sharpness=3.0)
    sizes, scores = [], []
    for beam in (search.Beam(2.0, 2.0, 1, 20), search.Beam(8.0, 4.0, 30, 1000), search.Beam()):
        lattice = search.lattices(log_probs, lengths, topology(29), beam)
        sizes.append(lattice.num_arcs)
        scores.append(search.best_scores(lattice))
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert all((narrow <= wide + 1e-6).all() for narrow, wide in zip(scores, scores[1:]))


def test_clear_paths_empty_rows_and_rows_of_a_batch():
    paths = [[1, 1, 0, 1, 2, 2, 0], [0, 3, 3, 0], [0, 0]]
    lengths = torch.tensor([7, 4, 2])
    log_probs = torch.full((4, 7, 4), -9.0)
    for row, path in enumerate(paths):
        log_probs[row, range(len(path)), path] = 0.0
    lengths = torch.cat([lengths, torch.tensor([0])])
    assert search.decoded(log_probs, lengths, topology(3)) == [[1, 1, 2], [3], [], []]
    noisy, lengths = posteriors([9, 4, 7], 4, 5)
    graph = token_graph(TOKEN_LM, TOKENS)
    together = search.decoded(noisy, lengths, graph)
    alone = [search.decoded(noisy[row : row + 1, : lengths[row]], lengths[row : row + 1], graph)[0] for row in range(3)]
    assert together == alone


def test_a_model_that_ends_no_sentence_is_refused():
    with pytest.raises(ValueError, match="</s>"):
        token_graph(NGram({("<s>",): -99.0, ("a",): 0.0, ("b",): 0.0, ("c",): 0.0}, {}), TOKENS)
