"""Decoder ctc-beam: equal to a count of all paths, with and without a model and hotwords; rows are independent."""

from __future__ import annotations

import itertools
import math
import re
import string

import numpy as np
import pytest
import torch

from stentor.errors import StentorError
from stentor.sequence.tokenizers import BytePairs, Bytes, Characters
from stentor.testing.decoder import DecoderContract
from stentor_asr.decoders.beam import CTCBeam
from stentor_asr.decoders.greedy import CTCGreedy
from stentor_asr.decoders.pieces import Pieces
from stentor_asr.lm import arpa, kneser_ney
from stentor_asr.lm.automaton import NGram, log_probability

EXACT = {"beam": 3000, "floor": -math.inf, "symbols": 100}
SENTENCES = ["a b a", "ab ba", "ab a", "b b ab", "ba b", "a ab"]


class TestCTCBeam(DecoderContract):
    name = "ctc-beam"


def characters(texts=("ab ba",)):
    text = Characters()
    text.train(texts)
    return text


def posteriors(*shape, seed=0, sharp=1.0):
    return (sharp * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))).log_softmax(-1)


def every_reading(log_probs):
    """Log-probability of every token sequence: the sum over all paths that spell it."""
    found = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        ids = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        score = sum(log_probs[step, symbol].item() for step, symbol in enumerate(path))
        found[ids] = np.logaddexp(found.get(ids, -np.inf), score)
    return found


def occurrences(text, phrase):
    """How often a phrase stands between word boundaries; those that share words count each."""
    padded = " " + " ".join(text.split()) + " "
    return len(re.findall(f"(?= {re.escape(phrase)} )", padded))


@pytest.fixture(scope="module")
def word_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "words.arpa"
    arpa.write(path, kneser_ney.estimate([text.split() for text in SENTENCES], 3))
    return path


@pytest.fixture(scope="module")
def token_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "tokens.arpa.gz"
    arpa.write(path, kneser_ney.estimate([list(text.replace(" ", "\u2581")) for text in SENTENCES], 2))
    return path


def assert_exact(decoder, log_probs, due, hotwords=None):
    (found,) = decoder.hypotheses(log_probs[None], torch.tensor([len(log_probs)]), best=10**6, hotwords=hotwords)
    assert {one.ids for one in found} == due.keys()
    for one in found:
        assert one.score == pytest.approx(due[one.ids], abs=1e-6), one.ids


def test_without_anything_else_scores_are_sums_over_all_paths_as_in_the_ctc_loss():
    log_probs = posteriors(6, 4)
    due = every_reading(log_probs)
    assert_exact(CTCBeam(**EXACT), log_probs, due)
    assert np.logaddexp.reduce(list(due.values())) == pytest.approx(0.0, abs=1e-6)
    for ids in [(1, 2, 3), (1, 1), (2,)]:
        loss = torch.nn.functional.ctc_loss(
            log_probs[:, None], torch.tensor([ids]), torch.tensor([6]), torch.tensor([len(ids)]), reduction="sum"
        )
        assert due[ids] == pytest.approx(-loss.item(), abs=1e-5)


@pytest.mark.parametrize(("weight", "bonus", "unknown"), [(0.7, 0.0, -10.0), (1.3, 0.4, -2.5)])
def test_a_model_of_words_adds_what_it_says_of_the_words(word_model, weight, bonus, unknown):
    log_probs, text = posteriors(6, 5), characters()
    decoder = CTCBeam(lm=str(word_model), weight=weight, bonus=bonus, unknown=unknown, **EXACT)
    decoder.bind(text)
    model, due = NGram(arpa.read(word_model)), {}
    for ids, paths in every_reading(log_probs).items():
        words = Pieces.of(text).text(ids).split()
        strange = sum(word not in model.words for word in words)
        due[ids] = paths + weight * log_probability(model, words) + bonus * len(words) + unknown * strange
    assert_exact(decoder, log_probs, due)


def test_a_model_of_tokens_adds_what_it_says_of_the_tokens(token_model):
    log_probs, text = posteriors(6, 5, seed=1), characters()
    decoder = CTCBeam(lm=str(token_model), level="token", weight=0.6, bonus=0.3, **EXACT)
    decoder.bind(text)
    model, due = NGram(arpa.read(token_model)), {}
    for ids, paths in every_reading(log_probs).items():
        spelled = [{1: "<unk>", 2: "\u2581", 3: "a", 4: "b"}[i] for i in ids]
        due[ids] = paths + 0.6 * log_probability(model, spelled) + 0.3 * len(ids)
    assert_exact(decoder, log_probs, due)


def test_a_bonus_without_a_model_counts_tokens():
    log_probs = posteriors(5, 4)
    due = {ids: score + 0.8 * len(ids) for ids, score in every_reading(log_probs).items()}
    assert_exact(CTCBeam(bonus=0.8, **EXACT), log_probs, due)


@pytest.mark.parametrize("phrases", [{"ab": 2.0}, {"a b": 1.5, "a": 0.5, "b a": -1.0}, {"a": 1.0, "a a": 1.0}])
def test_hotwords_add_their_boost_for_every_whole_phrase_and_nothing_else(phrases):
    log_probs, text = posteriors(6, 5, seed=2), characters()
    decoder = CTCBeam(**{**EXACT, "beam": 10**5})
    decoder.bind(text)
    due = {}
    for ids, paths in every_reading(log_probs).items():
        said = Pieces.of(text).text(ids)
        due[ids] = paths + sum(boost * occurrences(said, phrase) for phrase, boost in phrases.items())
    assert_exact(decoder, log_probs, due, [phrases])


def test_model_and_hotwords_together_and_after_them_nothing_is_left(word_model):
    log_probs = posteriors(5, 5, seed=3)
    decoder = CTCBeam(lm=str(word_model), **EXACT)
    decoder.bind(characters())
    plain = {one.ids: one.score for one in decoder.hypotheses(log_probs[None], torch.tensor([5]), best=10**6)[0]}
    text = Pieces.of(characters()).text
    due = {ids: score + 3 * occurrences(text(ids), "ba") for ids, score in plain.items()}
    assert_exact(decoder, log_probs, due, [{"ba": 3.0}])
    assert_exact(decoder, log_probs, plain)


def test_hotwords_of_one_row_do_not_reach_another():
    decoder = CTCBeam()
    decoder.bind(characters())
    log_probs, lengths = posteriors(1, 12, 5, seed=4).repeat(3, 1, 1), torch.tensor([12, 12, 12])
    plain = decoder.hypotheses(log_probs[:1], lengths[:1], best=4)[0]
    alone = decoder.hypotheses(log_probs[:1], lengths[:1], best=4, hotwords=[{"ab ba": 30.0}])[0]
    rows = decoder.hypotheses(log_probs, lengths, best=4, hotwords=[{}, {"ab ba": 30.0}, {"b": 0.0}])
    assert alone[0].score > plain[0].score + 15
    assert "ab ba" in Pieces.of(characters()).text(alone[0].ids)
    for row, due in zip(rows, (plain, alone, plain), strict=True):
        assert [one.ids for one in row] == [one.ids for one in due]
        assert [one.score for one in row] == pytest.approx([one.score for one in due])


def test_a_batch_gives_what_its_rows_give_alone(word_model):
    text = characters([string.ascii_lowercase + " "])
    decoder = CTCBeam(lm=str(word_model), floor=-4.0)
    decoder.bind(text)
    log_probs, lengths = posteriors(5, 40, text.size + 1, sharp=3.0), torch.tensor([40, 7, 0, 23, 1])
    together = decoder.hypotheses(log_probs, lengths, best=3)
    for row, length in enumerate(lengths.tolist()):
        (alone,) = decoder.hypotheses(log_probs[row : row + 1, :length], lengths[row : row + 1], best=3)
        assert alone == together[row]


def test_quiet_frames_are_passed_over_at_the_price_that_is_stated():
    log_probs = torch.full((60, 4), -12.0)
    log_probs[:, 0] = 0.0
    for frame, symbol in ((3, 1), (4, 1), (20, 1), (41, 3)):
        log_probs[frame] = torch.tensor([-1.0, -6.0, -5.0, -6.0])
        log_probs[frame, symbol] = -0.5
    log_probs = log_probs.log_softmax(-1)
    readings = [CTCBeam(floor=floor).hypotheses(log_probs[None], torch.tensor([60]))[0][0] for floor in (-8.0, -99.0)]
    assert readings[0].ids == readings[1].ids == (1, 1, 3)
    assert readings[0].frames == readings[1].frames == ((3, 5), (20, 21), (41, 42))
    assert 0 <= readings[1].score - readings[0].score < 60 * 3 * math.exp(-8.0)


def test_a_wider_beam_finds_no_worse_reading():
    log_probs, lengths = posteriors(4, 30, 12, sharp=2.0), torch.tensor([30, 30, 25, 12])
    scores = [[row[0].score for row in CTCBeam(beam=beam).hypotheses(log_probs, lengths)] for beam in (1, 4, 32, 128)]
    assert all(wide >= narrow - 1e-9 for wide, narrow in zip(scores[-1], scores[0], strict=True))
    greedy = [row[0].score for row in CTCGreedy().hypotheses(log_probs, lengths)]
    assert all(wide >= path for wide, path in zip(scores[-1], greedy, strict=True))


@pytest.mark.parametrize("tokenizer", [Characters(), Bytes(), BytePairs(pieces=40)])
def test_pieces_spell_the_text_whatever_the_tokenizer(tokenizer):
    said = ["zażółć gęślą jaźń", "a cat and a dog", "cats"]
    tokenizer.train(said)
    pieces = Pieces.of(tokenizer)
    for text in said:
        ids = [i + 1 for i in tokenizer.encode(text)]
        assert b"".join(pieces.spelled[i] for i in ids).strip().decode() == text
    assert pieces.normalised("a cat") == b"a cat"


def test_hotwords_are_heard_however_tokens_spell_them():
    tokenizer = BytePairs(pieces=30)
    tokenizer.train(["abba abba ab ba", "baab ab"])
    pieces = Pieces.of(tokenizer)
    letters = {piece: index for index, piece in enumerate(pieces.spelled) if piece in (b"a", b"b", b" ")}
    path = [letters[b" "], *(letters[bytes([letter])] for letter in b"ab"), 0, *(letters[b"b"], letters[b"a"])]
    assert len(tokenizer.encode("abba")) < len(path) - 1
    log_probs = torch.full((1, len(path), len(pieces.spelled)), -20.0)
    log_probs[0, range(len(path)), path] = 0.0
    decoder = CTCBeam(floor=-30.0)
    decoder.bind(tokenizer)
    given = log_probs.log_softmax(-1), torch.tensor([len(path)])
    plain, boosted = decoder.hypotheses(*given), decoder.hypotheses(*given, hotwords=[{"Abba": 2.5}])
    assert boosted[0][0].score == pytest.approx(plain[0][0].score + 2.5)


def test_what_cannot_be_honoured_is_refused(tmp_path):
    decoder, given = CTCBeam(), (posteriors(1, 5, 5), torch.tensor([5]))
    with pytest.raises(StentorError, match="call bind first"):
        decoder.hypotheses(*given, hotwords=[{"ab": 1.0}])
    decoder.bind(characters())
    with pytest.raises(StentorError, match="cannot spell"):
        decoder.hypotheses(*given, hotwords=[{"xyz": 1.0}])
    with pytest.raises(StentorError, match="finite"):
        decoder.hypotheses(*given, hotwords=[{"ab": math.nan}])
    with pytest.raises(StentorError, match="cannot be read"):
        CTCBeam(lm=str(tmp_path / "absent.arpa")).bind(characters())
    (tmp_path / "broken.arpa").write_text("\\data\\\nngram 1=3\n\n\\1-grams:\n-1 a\n")
    with pytest.raises(StentorError, match="no ARPA file"):
        CTCBeam(lm=str(tmp_path / "broken.arpa")).bind(characters())
    with pytest.raises(StentorError, match="at least 1"):
        CTCBeam(beam=0)
