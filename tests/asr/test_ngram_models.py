"""N-gram models: an example worked by hand, probabilities that sum to one, files, look-ups, and the verb."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import math
import random
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from stentor import cli, train
from stentor.errors import StentorError
from stentor.sequence.tokenizers import Characters
from stentor_asr.lm import arpa, kneser_ney, models
from stentor_asr.lm.automaton import NGram, log_probability
from stentor_asr.lm.table import Table

SENTENCES = [["a", "b"], ["a", "b"], ["a"]]


def chain(count, seed=0):
    """Sentences of 30 words, some of which like to follow others."""
    made = random.Random(seed)
    words = [f"w{i}" for i in range(30)]
    return [[made.choice(words[: made.choice([3, 10, 30])]) for _ in range(made.randint(1, 9))] for _ in range(count)]


def test_an_example_worked_by_hand():
    # Words follow 1 (a), 1 (b) and 2 (</s>) others: 4 in all, too few to estimate discounts, so 0.5, 0.5 and 1 are
    # taken, and half of the mass is spread over a, b, </s> and <unk>. Of bigrams, 1 was seen once (a </s>), 2 twice and
    # 1 three times, so that Y = 1 / (1 + 2 * 2) and D = 1 - 2Y * 2/1 = 0.2, 2 - 3Y * 1/2 = 1.7, 3 - 4Y * 0/1 = 3.
    with pytest.warns(kneser_ney.TooSmall, match="1-grams"):
        model = kneser_ney.estimate(SENTENCES, 2)
    found = {
        " ".join(model.words[i] for i in gram): 10**log
        for grams, logs in zip(model.grams, model.logs, strict=True)
        for gram, log in zip(grams.tolist(), logs.tolist(), strict=True)
    }
    spread = (1.7 + 0.2) / 3
    due = {
        "a": 0.5 / 4 + 0.5 / 4,
        "b": 0.5 / 4 + 0.5 / 4,
        "</s>": 1 / 4 + 0.5 / 4,
        "<unk>": 0.5 / 4,
        "<s> a": 0 / 3 + 3 / 3 * 0.25,
        "a b": 0.3 / 3 + spread * 0.25,
        "a </s>": 0.8 / 3 + spread * 0.375,
        "b </s>": 0.3 / 2 + 1.7 / 2 * 0.375,
    }
    assert found.pop("<s>") < 1e-90
    assert found == pytest.approx(due)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.filterwarnings("ignore::stentor_asr.lm.kneser_ney.TooSmall")
def test_probabilities_behind_every_context_sum_to_one(order):
    model = NGram(kneser_ney.estimate(chain(400), order))
    words = np.arange(len(model.words))
    ids = [model.words.index(word) for word in ("w0", "w7", "<unk>", "w29")]
    for context in itertools.product(ids, repeat=min(order, 2)):
        state = np.array([model.begin])
        for word in context:
            state = model.step(state, np.array([word]))[1]
        scores, _ = model.step(np.repeat(state, len(words)), words)
        assert np.exp(scores).sum() == pytest.approx(1.0, abs=1e-9)


def test_a_higher_order_fits_its_text_better():
    text = chain(150)
    trained = [NGram(kneser_ney.estimate(text, order)) for order in (1, 2, 3)]
    fits = [sum(log_probability(model, row) for row in text) for model in trained]
    assert fits == sorted(fits)


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
def test_what_is_written_is_read_back(tmp_path, name):
    model = kneser_ney.estimate(chain(200), 3)
    arpa.write(tmp_path / name, model)
    again = arpa.read(tmp_path / name)
    assert again.words == model.words
    for row in chain(20, seed=1):
        assert log_probability(NGram(again), row) == pytest.approx(log_probability(NGram(model), row), abs=1e-4)


def test_a_file_of_another_tool_is_read(tmp_path):
    # No <unk>, no backoff in places, a context (b) that is no unigram's continuation; by hand in decimal logarithms.
    lines = ["\\data\\", "ngram 1=4", "ngram 2=2", "", "\\1-grams:", "-1.0\t<s>\t-0.3", "-0.8\t</s>", "-0.5\ta\t-0.2",
             "-0.7\tb", "", "\\2-grams:", "-0.1\t<s> a", "-0.4 a b", "", "\\end\\"]  # fmt: skip
    (tmp_path / "lm.arpa").write_text("\n".join(lines))
    model = models.load(tmp_path / "lm.arpa")
    worked = {"a b": -0.1 - 0.4 - 0.8, "b a": (-0.3 - 0.7) - 0.5 + (-0.2 - 0.8), "x": -0.3 - 100 - 0.8}
    for sentence, due in worked.items():
        assert log_probability(model, sentence.split()) / math.log(10) == pytest.approx(due)
    assert models.words(tmp_path / "lm.arpa") == ["a", "b"]


def test_words_may_hold_white_space_that_is_not_ascii_and_the_file_may_be_packed_under_any_name(tmp_path):
    lines = ["\\data\\", "ngram 1=4", "", "\\1-grams:", "-1 <s>", "-1 a\u00a0b", "-1 </s>", "-2 <UNK>", "", "\\end\\"]
    (tmp_path / "lm").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert models.words(tmp_path / "lm") == ["a\u00a0b"]
    assert models.load(tmp_path / "lm").words.count("<unk>") == 1


@pytest.mark.parametrize(
    ("grams", "told"),
    [
        (["-1 a"], "it has no '</s>'"),
        (["-1 a", "-1 </s>", "", "\\2-grams:", "-1 a b"], "line '-1 a b' has a word that is no 1-gram"),
        (["-1 a", "-1 </s>", "", "\\2-grams:", "-1 a a", "", "\\3-grams:", "-1 </s> a a"], "3-gram '</s> a a'"),
        (["-1 a", "-1"], "line '-1' does not fit"),
    ],
)
def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path, grams, told):
    parts = "\n".join(grams).split("\n\n")
    sizes = [f"ngram {n}={len(part.splitlines()) - (n > 1)}" for n, part in enumerate(parts, 1)]
    content = ["\\data\\", *sizes, "", "\\1-grams:", *grams, "", "\\end\\", ""]
    (tmp_path / "lm.arpa").write_text("\n".join(content))
    with pytest.raises(StentorError) as caught:
        models.load(tmp_path / "lm.arpa")
    assert told in str(caught.value) and "lm.arpa" in str(caught.value)


def test_kenlm_reads_the_file_and_gives_the_same_probabilities(tmp_path):
    kenlm = pytest.importorskip("kenlm")
    arpa.write(tmp_path / "lm.arpa", kneser_ney.estimate(chain(300), 3))
    theirs, ours = kenlm.Model(str(tmp_path / "lm.arpa")), NGram(arpa.read(tmp_path / "lm.arpa"))
    for row in [*chain(20, seed=1), ["w0", "strange", "w1"], []]:
        assert log_probability(ours, row) / math.log(10) == pytest.approx(theirs.score(" ".join(row)), abs=1e-4)


# What KenLM's ``build_binary`` makes of unigrams <unk> <s> </s> a b and bigrams "<s> a" and "a b".
BINARY = zlib.decompress(base64.b85decode(
    "c-qU&O)OBz$yLZGDJihh*U!#KO-##7%}LQq&d=3P&QD2INXswEO)OC;OD!tS%+FIW<zhg9274f}pAks>2Lg}?BUFY7OdhaD7Gp(`LjaI?L7n1W%eGRm"
    "TEXn>%a_E(*_jz|1FoF!A8U&rWP{8y*V39)`=|RA3#PIIAV)GV96K~?=FEL(&-m<z@EPoZ?0v?@#`aJ?7;t=I%4peWEPVFNnSG5#Z$H#l*R%rJdyx&a"
    "Db35aW3VX(VtpWy$dJSU0Dh51Nd"
))  # fmt: skip


def test_the_words_of_a_binary_model_of_kenlm_are_read(tmp_path):
    (tmp_path / "lm.bin").write_bytes(BINARY)
    assert models.words(tmp_path / "lm.bin") == ["a", "b"]


def test_a_binary_model_is_asked_through_kenlm(tmp_path):
    pytest.importorskip("kenlm")
    (tmp_path / "lm.bin").write_bytes(BINARY)
    model = models.load(tmp_path / "lm.bin")
    for sentence, due in {
        "a b": -0.1 - 0.4 - 0.8,
        "b a": (-0.3 - 0.7) - 0.5 + (-0.2 - 0.8),
        "x": -0.3 - 2 - 0.8,
    }.items():
        assert log_probability(model, sentence.split()) / math.log(10) == pytest.approx(due, abs=1e-4)


def test_the_table_finds_what_is_there_and_nothing_else():
    keys = np.unique(np.random.default_rng(0).integers(0, 2**62, 5000, dtype=np.uint64))
    keys[:3] = [0, 1, 2]
    table, others = Table(keys), np.random.default_rng(1).integers(0, 2**62, 5000, dtype=np.uint64)
    assert (table.find(keys) == np.arange(len(keys))).all()
    due = np.array([np.flatnonzero(keys == key)[0] if key in keys else -1 for key in others[:50]])
    assert (table.find(others.reshape(50, 100))[0, :50] == due).all()
    assert (Table(keys[:0]).find(keys) == -1).all()


@pytest.mark.filterwarnings("ignore::stentor_asr.lm.kneser_ney.TooSmall")
def test_the_verb_reads_texts_and_manifests_and_tells_what_it_left_out(tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(b"The cat sat\n\nthe DOG sat\n\xff\xfe\n")
    row = {"id": "u", "start": 0.0, "duration": 1.0, "channel": 0, "type": "MonoCut"}
    row |= {"supervisions": [{"id": "u", "recording_id": "u", "start": 0.0, "duration": 1.0, "text": "a Bird"}]}
    row |= {"recording": {"id": "u", "sources": [{"type": "file", "channels": [0], "source": "u.wav"}],
                          "sampling_rate": 8000, "num_samples": 8000, "duration": 1.0, "channel_ids": [0]}}  # fmt: skip
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write(json.dumps(row) + "\nno row\n")
    out = tmp_path / "lm.arpa"
    sources = [str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl.gz")]
    assert cli.main(["ngram", *sources, "-o", str(out), "--order", "2"]) == 0
    said = capsys.readouterr()
    assert set(models.words(out)) == {"the", "cat", "sat", "dog", "a", "bird"}
    assert "9 1-grams" in said.out and "a.txt:4" in said.err and "b.jsonl.gz:2" in said.err


def test_bad_input_gets_a_sentence(tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "strange.txt").write_text("a <s> b\n")
    out = str(tmp_path / "lm.arpa")
    for words, told in {
        (str(tmp_path / "none.txt"),): "cannot be opened",
        (str(tmp_path / "empty.txt"),): "no sentence",
        (str(tmp_path / "strange.txt"),): "'<s>'",
        (str(tmp_path / "strange.txt"), "--order", "0"): "at least 1",
        (str(tmp_path / "strange.txt"), "--level", "token"): "--run",
    }.items():
        assert cli.main(["ngram", *words, "-o", out]) != 0
        assert told in capsys.readouterr().err
    (tmp_path / "binary").write_bytes(b"mmap lm http://kheafield.com/code format version 5\n\0")
    with pytest.raises(StentorError):
        models.load(tmp_path / "binary")


@pytest.mark.filterwarnings("ignore::stentor_asr.lm.kneser_ney.TooSmall")
@pytest.mark.parametrize(("level", "due"), [("word", {"the", "cat", "sat"}), ("token", set("thecas\u2581"))])
def test_a_model_for_a_run_has_the_units_of_its_tokenizer(tmp_path, monkeypatch, level, due):
    tokenizer = Characters()
    tokenizer.train(["the cat sat"])
    monkeypatch.setattr(train, "load", lambda folder: (None, SimpleNamespace(text=tokenizer)))
    (tmp_path / "a.txt").write_text("The CAT  sat\n")
    out = tmp_path / "lm.arpa"
    words = ["ngram", str(tmp_path / "a.txt"), "-o", str(out), "--run", "a-run", "--level", level]
    assert cli.main(words) == 0
    assert set(models.words(out)) == due
