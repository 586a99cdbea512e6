"""The tokenizer that spells what is said."""
# ruff: noqa: RUF001 - phonetic letters are what this is about

import sys

import pytest

from stentor.data.voices.espeak import Espeak
from stentor.errors import StentorError
from stentor_tts.text import espeak
from stentor_tts.text.phonemes import MARKS, Phonemes

pytest.importorskip("espeakng_loader", reason="the extra 'voices' is not installed")
TEXT = "Turn left at the bridge, and the end of a day."


def said(text, **configured):
    tokenizer = Phonemes(**configured)
    tokenizer.train([text])
    return tokenizer.decode(tokenizer.encode(text))


def test_words_pauses_and_weak_forms():
    assert said(TEXT) == "tˈɜːn lˈɛft æt ðə bɹˈɪdʒ, ænd ðɪ ˈɛnd ʌv ɐ dˈeɪ."
    assert said(TEXT, notation="espeak") == 't"3:n l"Eft at D@2 br"IdZ, and DI2 "End Vv a# d"eI.'
    assert said("a b", stress=False) == "ɐ biː" and said("A") == "ˈeɪ"


def test_every_word_stays_a_word():
    """The library joins "of the" and "in the" to one word when it sees them side by side."""
    assert len(said("in the end of the day").split()) == 6
    assert said("in the end of the day") == said("in  the\nend\tof the day")


@pytest.mark.parametrize(
    ("written", "marks"),
    [("Wait… what?!", ".?"), ("yes—no", ","), ("1,000 at 10:30", ""), ("a.m. (or so) 'ok'; go!", ".;!"), ("...hm", "")],
)
def test_punctuation_is_a_pause_only_where_it_is_heard(written, marks):
    assert "".join(mark for mark in said(written) if mark in MARKS) == marks


def test_stress_and_commas_have_ids_of_their_own():
    tokenizer = Phonemes(notation="espeak")
    tokenizer.train(["yesterday, today"])
    assert {",", "%", '"'} <= set(tokenizer.state()["units"])


def test_what_was_never_heard_is_unknown():
    tokenizer = Phonemes()
    tokenizer.train(["see me"])
    assert tokenizer.encode("see, me").count(0) == 1 and 0 in tokenizer.encode("shoe")
    assert "\N{REPLACEMENT CHARACTER}" in tokenizer.decode(tokenizer.encode("shoe"))


def test_control_characters_and_long_words_do_no_harm():
    assert said("left\x00right") == said("left right")
    assert said("x" * 500).replace(" ", "").count("ks") == 500


def test_a_word_costs_once():
    espeak.word.cache_clear()
    said("left right left right left right.")
    assert espeak.word.cache_info().misses <= 4


def test_the_voice_starts_afresh_beside_it():
    """Both use one library; phonemes must not keep the voice from the fresh start that makes it deterministic."""
    before = Espeak().speak("seven boats")
    said("seven boats")
    assert (Espeak().speak("seven boats") == before).all() and (Espeak().speak("seven boats") == before).all()


def test_a_language_that_is_not_there():
    with pytest.raises(StentorError, match="no such language"):
        said("yes", language="xx-none")


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(StentorError, match=r"espeakng_loader.*stentor\[voices\]"):
        Phonemes()
