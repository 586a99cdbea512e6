"""Decoder ``k2`` around k2: words and tokens, rows, and what it says where k2 is absent. k2 itself: tests/lattices."""

import importlib.util
import math
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.sequence.tokenizers import BytePairs, Characters
from stentor_asr.decoders.pieces import Pieces
from stentor_asr.lattice.vocabulary import lexicon, model_of, token_labels
from stentor_asr.lm import arpa
from stentor_asr.lm.automaton import NGram, log_probability
from stentor_asr.lm.kneser_ney import estimate

SENTENCES = ["turn left", "turn right", "go left then right", "stop", "then go", "turn left then stop"] * 3


@pytest.fixture
def word_model(tmp_path):
    arpa.write(tmp_path / "words.arpa", estimate([sentence.split() for sentence in SENTENCES], 3))
    return str(tmp_path / "words.arpa")


def trained(tokenizer):
    tokenizer.train(SENTENCES)
    return tokenizer


def test_the_graphs_model_scores_what_the_beam_searchs_does(word_model):
    ours, theirs = model_of(word_model), NGram(arpa.read(word_model))
    words = sorted({word for sentence in SENTENCES for word in sentence.split()})
    generator = np.random.default_rng(0)
    for length in (0, 1, 2, 5, 9):
        sentence = generator.choice(words, length).tolist()
        assert ours.sentence(sentence) == pytest.approx(log_probability(theirs, sentence), abs=1e-6)


@pytest.mark.parametrize("tokenizer", [Characters(), BytePairs(pieces=60)], ids=lambda one: type(one).__name__)
def test_words_are_spelled_as_the_tokenizer_spells_them(word_model, tokenizer):
    pieces = Pieces.of(trained(tokenizer))
    words = lexicon(model_of(word_model), pieces)
    assert set(words.labels) == {word for sentence in SENTENCES for word in sentence.split()}
    assert (words.separator is None) == isinstance(tokenizer, BytePairs)
    labels = tuple(words.labels[word] for word in ("turn", "left", "then", "stop"))
    assert pieces.text(words.tokens(labels)).strip() == "turn left then stop"
    assert list(words.tokens(labels)) == [i + 1 for i in tokenizer.encode("turn left then stop")]
    assert words.tokens(()) == ()


def test_a_model_that_does_not_fit_the_tokens_is_refused(tmp_path, word_model):
    pieces = Pieces.of(trained(Characters()))
    with pytest.raises(StentorError, match="one of words"):
        token_labels(model_of(word_model), pieces)
    arpa.write(tmp_path / "digits.arpa", estimate([["77", "88"]] * 5, 2))
    with pytest.raises(StentorError, match="can spell none"):
        lexicon(model_of(str(tmp_path / "digits.arpa")), pieces)


@pytest.mark.skipif(importlib.util.find_spec("k2") is not None, reason="k2 is installed here")
def test_where_k2_is_absent_one_line_names_the_wheel():
    with pytest.raises(StentorError, match="k2 is not installed") as caught:
        registry().build("decoder", "k2")
    release = torch.__version__.partition("+")[0]
    wanted = f"torch{release} and is for Python 3.{sys.version_info.minor}: pip install k2 "
    assert wanted in caught.value.suggestion
    assert "\n" not in str(caught.value)


@pytest.fixture
def stand_in(monkeypatch):
    """In place of the modules that need k2: graphs that remember what they are of, and a search for the best path."""
    made = {}

    class Graph(SimpleNamespace):
        def to(self, device):
            return self

    def graph(kind):
        return lambda *given, **options: made.setdefault(kind, Graph(given=given, options=options))

    def best(lattice):
        rows = [torch.unique_consecutive(row[:length].argmax(-1)) for row, length in lattice]
        return [[int(i) for i in row if i] for row in rows], None

    graphs, search = ModuleType("stentor_asr.lattice.graphs"), ModuleType("stentor_asr.lattice.search")
    for kind in ("topology", "token_graph", "word_graph"):
        setattr(graphs, kind, graph(kind))
    search.Beam = SimpleNamespace
    search.lattices = lambda log_probs, lengths, graph, beam: list(zip(log_probs, lengths.tolist(), strict=True))
    search.best = best
    search.best_scores = lambda lattice: torch.tensor([-math.inf if length == 1 else -1.0 for _, length in lattice])
    monkeypatch.setitem(sys.modules, "k2", ModuleType("k2"))
    monkeypatch.setitem(sys.modules, graphs.__name__, graphs)
    monkeypatch.setitem(sys.modules, search.__name__, search)
    return made


def test_rows_without_frames_or_without_a_path_are_empty_and_the_others_keep_their_place(stand_in):
    log_probs = torch.full((4, 5, 4), -9.0)
    for row, path in enumerate([[1, 1, 0, 1, 2], [], [3], [0, 3, 3, 0]]):
        log_probs[row, range(len(path)), path] = 0.0
    found = registry().build("decoder", "k2").hypotheses(log_probs, torch.tensor([5, 0, 1, 4]))
    assert [row[0].ids for row in found] == [(1, 1, 2), (), (), (3,)]
    assert [row[0].score for row in found] == [-1.0, 0.0, -math.inf, -1.0]
    assert stand_in["topology"].given == (3,)
    assert [len(row) for row in found] == [1, 1, 1, 1]


def test_bound_to_a_tokenizer_its_graph_is_of_the_models_words_or_tokens(stand_in, word_model, tmp_path):
    tokenizer = trained(Characters())
    registry().build("decoder", "k2", lm=word_model, weight=0.7).bind(tokenizer)
    made = stand_in["word_graph"]
    space = tokenizer.encode("a b")[1] + 1
    assert made.options == {"separator": space, "weight": 0.7}
    assert dict(made.given[2])["stop"] == tuple(i + 1 for i in tokenizer.encode("stop"))
    letters = [["s", "t", "o", "p"], ["g", "o", "\N{LOWER ONE EIGHTH BLOCK}"]] * 4
    arpa.write(tmp_path / "tokens.arpa", estimate(letters, 2))
    decoder = registry().build("decoder", "k2", lm=str(tmp_path / "tokens.arpa"), level="token")
    with pytest.raises(StentorError, match="bind"):
        decoder.search(torch.zeros(1, 3, 4), torch.tensor([3]))
    decoder.bind(tokenizer)
    labels = stand_in["token_graph"].given[1]
    assert labels == {"\N{LOWER ONE EIGHTH BLOCK}": space} | {one: tokenizer.encode(one)[0] + 1 for one in "gopst"}
