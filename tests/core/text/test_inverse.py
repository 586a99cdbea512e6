"""Spoken words in written form, by rules that are always there and by grammars that an extra brings."""

import os
import sys

import pytest

from stentor.errors import StentorError
from stentor.evaluate.normalisers import Spoken
from stentor.text import grammars
from stentor.text.inverse import Nemo, Plain


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("twenty five dollars and ten cents", "$25.10"),
        ("the twenty first of may", "the 21st of may"),
        ("ninety nine percent", "99%"),
        ("turn left at the bridge", "turn left at the bridge"),
        ("", ""),
    ],
)
def test_plain_writes_numbers(spoken, written):
    assert Plain()(spoken) == written


def test_without_the_extra_it_is_named(monkeypatch):
    for module, _, _ in grammars._PLACES.values():
        monkeypatch.setitem(sys.modules, module, None)
    grammars.grammar.cache_clear()
    for make in (Nemo, Spoken):
        with pytest.raises(StentorError, match=r"nemo_text_processing.*is needed here"):
            make()


class Grammar:
    """Stands for the package's class: writes a file as it does, counts how often it had to build."""

    built = 0

    def __init__(self, input_case, lang, cache_dir):
        if lang == "xx":
            raise NotImplementedError(lang)
        place = os.path.join(cache_dir, f"{lang}.far")
        if not os.path.exists(place):
            type(self).built += 1
            if lang == "broken":
                raise OSError("no space left")
            open(place, "w").close()


@pytest.fixture
def package(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(grammars, "version", lambda name: "1.0")
    module = type("module", (), {"InverseNormalizer": Grammar, "Normalizer": Grammar})
    monkeypatch.setattr(grammars, "require", lambda name, extra: module)
    monkeypatch.setattr(Grammar, "built", 0)
    grammars.grammar.cache_clear()
    yield tmp_path / "stentor/grammars/1.0"
    grammars.grammar.cache_clear()


def test_a_grammar_is_built_once_and_kept(package):
    for _ in range(2):
        grammars.grammar("written", "en")
        grammars.grammar.cache_clear()
    assert Grammar.built == 1 and [path.name for path in package.iterdir()] == ["itn-en"]
    grammars.grammar("spoken", "en")
    assert Grammar.built == 2 and (package / "tn-en/en.far").is_file()


def test_a_build_cut_short_leaves_nothing_behind(package):
    with pytest.raises(OSError, match="no space"):
        grammars.grammar("written", "broken")
    assert list(package.iterdir()) == []


def test_a_language_without_grammar_is_told(package):
    with pytest.raises(StentorError, match="no grammar for language 'xx'"):
        grammars.grammar("written", "xx")


def test_nemo_writes_dates_times_and_money():
    pytest.importorskip("nemo_text_processing", reason="the extra 'text' is not installed")
    write = Nemo()
    assert write("twenty five dollars and ten cents") == "$25.10"
    assert write("on march third at half past two p m") == "on march 3 at 02:30 p.m."
    assert write("turn left at the bridge") == "turn left at the bridge" and write(" ") == ""
    normalise = Spoken()
    assert normalise("It cost $25.10 on March 3.") == normalise("it cost twenty five dollars ten cents on march third")
