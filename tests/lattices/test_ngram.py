"""Backoff n-grams: read, scored and estimated; needs no k2."""

import math

import pytest

from stentor_asr.lattice.ngram import END, NGram, bigram

ARPA = """
\\data\\
ngram 1=4
ngram 2=2

\\1-grams:
-99 <s> -0.5
-0.4 a -0.2
-0.6 b
-0.3 </s>

\\2-grams:
-0.1 <s> a
-0.7 a b

\\end\\
"""


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "tiny.arpa"
    file.write_text(ARPA, encoding="utf-8")
    return NGram.read(file)


def test_sentences_score_as_worked_by_hand(model):
    # a and b follow as bigrams; after b there is no bigram and no backoff weight, so the end counts as a unigram
    assert model.sentence(["a", "b"]) / math.log(10) == pytest.approx(-0.1 - 0.7 - 0.3)
    # b backs off from <s>, a follows b as a unigram, the end backs off from a
    assert model.sentence(["b", "a"]) / math.log(10) == pytest.approx((-0.5 - 0.6) - 0.4 + (-0.2 - 0.3))
    assert model.sentence([]) / math.log(10) == pytest.approx(-0.5 - 0.3)
    assert model.sentence(["c"]) == -math.inf
    assert model.words == ("a", "b")


@pytest.mark.parametrize("broken", ["\\1-grams:\nnought a\n", "\\2-grams:\n-0.1 a\n", "\\data\\\nngram 1=0\n", ""])
def test_what_is_no_arpa_file_is_refused_by_name(tmp_path, broken):
    file = tmp_path / "broken.arpa"
    file.write_text(broken, encoding="utf-8")
    with pytest.raises(ValueError, match="broken"):
        NGram.read(file)


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
