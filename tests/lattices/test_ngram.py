"""Backoff n-grams: scored and estimated; needs no k2."""

import math

import pytest

from stentor_asr.lattice.ngram import END, NGram, bigram

LN10 = math.log(10)
MODEL = NGram(
    {
        ("<s>",): -99 * LN10, ("a",): -0.4 * LN10, ("b",): -0.6 * LN10, ("</s>",): -0.3 * LN10,
        ("<s>", "a"): -0.1 * LN10, ("a", "b"): -0.7 * LN10,
    },
    {("<s>",): -0.5 * LN10, ("a",): -0.2 * LN10},
)  # fmt: skip


def test_sentences_score_as_worked_by_hand():
    # a and b follow as bigrams; after b there is no bigram and no backoff weight, so the end counts as a unigram
    assert MODEL.sentence(["a", "b"]) / LN10 == pytest.approx(-0.1 - 0.7 - 0.3)
    # b backs off from <s>, a follows b as a unigram, the end backs off from a
    assert MODEL.sentence(["b", "a"]) / LN10 == pytest.approx((-0.5 - 0.6) - 0.4 + (-0.2 - 0.3))
    assert MODEL.sentence([]) / LN10 == pytest.approx(-0.5 - 0.3)
    assert MODEL.sentence(["c"]) == -math.inf


def test_probabilities_after_every_context_sum_to_one():
    model = bigram([["a", "b"], ["b", "b", "a"], []], ["a", "b", "never"])
    for context in (("<s>",), ("a",), ("b",), ("never",), ()):
        assert sum(
            math.exp(model.log_probability(word, context)) for word in ("a", "b", "never", END)
        ) == pytest.approx(1)


def test_bigram_is_that_of_witten_and_bell():
    model = bigram([["a", "b"], ["a", "a"]], ["a", "b"])
    # events: a 3, b 1, the end 2; 3 kinds share 3 more counts with the uniform distribution
    unigram_a, unigram_b = (3 + 3 / 3) / 9, (1 + 3 / 3) / 9
    # after a: a once, b once, the end once: 3 kinds in 3 events
    assert model.log_probability("b", ("a",)) == pytest.approx(math.log((1 + 3 * unigram_b) / 6))
    # after b only the end was seen: a backs off with weight 1 / 2
    assert model.log_probability("a", ("b",)) == pytest.approx(math.log(1 / 2 * unigram_a))
