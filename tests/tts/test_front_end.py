"""Texts as people write them, and SSML, to the sentences that a voice says."""

import time

import pytest

from stentor.errors import StentorError
from stentor_tts.text import ssml
from stentor_tts.text.characters import Sieve, latin
from stentor_tts.text.frontend import FrontEnd
from stentor_tts.text.script import PLAIN, Manner, Sentence, Stretch
from stentor_tts.text.sentences import LONGEST, sentences


def cut(text):
    return [sentence.text for sentence in sentences((Stretch(text),))]


def read(text, **settings):
    return list(FrontEnd(**settings).read(text))


def spoken(document):
    return [
        (sentence.text, round(sentence.pause, 2)) for sentence in sentences(ssml.parse(f"<speak>{document}</speak>"))
    ]


@pytest.mark.parametrize(
    "parts",
    [
        ("Dr. Smith met J. R. Tolkien at 3.5 p.m.", "Then he left etc. and so on!", "What?!", '"Yes."', "So it is."),
        ("I saw the U.S. Army, e.g. this.", "It is 5 p.m.", "So am I.", "Go."),
        ("No... maybe.", "It costs 3.50.", "Version 2.0.1 is out.", "See fig. 3 in Jan. for more."),
        ("He said “stop.”", "(It was late.)", "End"),
    ],
)
def test_sentences_end_where_people_end_them(parts):
    assert cut(" ".join(parts)) == list(parts)


def test_paragraphs_are_longer_pauses_and_nothing_follows_the_end():
    made = list(sentences((Stretch("One. Two\n\nThree\nstill three. "),)))
    assert [(one.text, one.pause) for one in made] == [("One.", 0.35), ("Two", 0.7), ("Three still three.", 0.0)]


def test_long_sentences_are_cut_at_clauses_or_else_between_words():
    clauses = cut("some words here, " * 60)
    assert max(map(len, clauses)) <= LONGEST and all(one.endswith("here,") for one in clauses)
    words = cut("word " * 200)
    assert " ".join(words) == " ".join(["word"] * 200) and max(map(len, words)) <= LONGEST
    assert "".join(cut("x" * 1000)) == "x" * 1000


def test_a_manner_may_reach_over_the_end_of_a_sentence():
    quick = Manner(rate=1.2)
    first, second = sentences((Stretch("One "), Stretch("two. Three", quick), Stretch(" four.")))
    assert first.stretches == (Stretch("One"), Stretch("two.", quick))
    assert second.stretches == (Stretch("Three", quick), Stretch("four."))


def test_ssml_breaks_and_paragraphs():
    assert spoken("One<break time='1.5s'/>two") == [("One", 1.5), ("two", 0.0)]
    assert spoken("One.<break strength='strong'/><break time='500ms'/> Two") == [("One.", 1.2), ("Two", 0.0)]
    assert spoken("<p><s>One</s><s>two</s></p><p>three</p>") == [("One", 0.35), ("two", 0.7), ("three", 0.0)]
    assert spoken("<break time='1s'/>one<break time='2s'/>") == [("", 1.0), ("one", 2.0)]
    assert spoken("a\n\n  b &lt; c <sub alias='World Wide Web Consortium'>W3C</sub>") == [
        ("a b < c World Wide Web Consortium", 0.0)
    ]


def test_ssml_manners_nest():
    document = (
        "<speak>a <prosody rate='fast' volume='-6dB'>b <prosody rate='120%' pitch='+2st'>c</prosody></prosody></speak>"
    )
    (sentence,) = sentences(ssml.parse(document))
    a, b, c = sentence.stretches
    assert (a.manner, b.manner) == (PLAIN, Manner(1.2, 0.0, -6.0)) and c.manner == Manner(
        pytest.approx(1.44), 2.0, -6.0
    )
    (sentence,) = sentences(ssml.parse("<speak><emphasis level='strong'>now</emphasis></speak>"))
    assert sentence.stretches[0].manner == ssml.EMPHASES["strong"]
    (octave,) = ssml.parse("<speak><prosody pitch='-50%'>x</prosody></speak>")
    assert octave.manner.pitch == pytest.approx(-12)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("<speak>", "not well-formed: no element found in line 1"),
        ("<speak>a</b></speak>", "mismatched tag"),
        ("<speak><voice>x</voice></speak>", "<voice> is not supported"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]><speak>&a;</speak>", "document type"),
        ("<speak>&nbsp;</speak>", "undefined entity"),
        ("<?xml version='1.0'?><?php x?><speak/>", "processing instructions"),
        ("<p>x</p>", "one <speak> element"),
        ("<speak>" + "<prosody>" * 40, "nested more than"),
        ("<speak><prosody rate='warp'>x</prosody></speak>", "rate is a word or a number like 120%"),
        ("<speak><prosody rate='9000%'>x</prosody></speak>", "rate is out of range"),
        ("<speak><prosody pitch='120Hz'>x</prosody></speak>", "pitch is a word or a number like"),
        ("<speak><prosody pitch='10%'>x</prosody></speak>", "relative to the voice"),
        ("<speak><prosody volume='5'>x</prosody></speak>", "volume is a word or a number like"),
        ("<speak><break time='1h'/></speak>", "break time is written like 500ms"),
        ("<speak><break time='11s'/></speak>", "up to 10s"),
        ("<speak><break tim='1s'/></speak>", "takes no tim here. Did you mean 'time'"),
        ("<speak><sub>x</sub></speak>", "<sub> needs alias"),
        ("<speak><emphasis level='big'>x</emphasis></speak>", "no level 'big'"),
    ],
)
def test_bad_ssml_gets_one_sentence(document, told):
    with pytest.raises(StentorError, match=told) as caught:
        ssml.parse(document)
    assert len(caught.value.problems) == 1 and caught.value.path == "text"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing to say"),
        (" ...\n!", "nothing to say"),
        ("a\x07b", r"control character \(U\+0007, at place 2\)"),
        ("\ud800a", "not valid Unicode"),
        ("x" * 1_000_001, "1,000,001 characters; up to 1,000,000"),
        ("你好", "nothing of the text can be said. 2 characters"),
    ],
)
def test_bad_text_gets_one_sentence(text, told):
    with pytest.raises(StentorError, match=told):
        read(text, known=latin)


def test_what_cannot_be_said_is_counted_and_told_once():
    reading = FrontEnd(known=latin).read("Snow ☃☃ in 你 today. Café — naïve “ok” ☃.")
    assert [one.text for one in reading] == ["Snow in today.", 'Café, naïve "ok".']
    assert reading.told == "4 characters cannot be said and were left out: '☃' (3), '你' (1)."
    plain = FrontEnd().read("nothing odd")
    assert list(plain) and plain.told == ""


def test_accents_go_where_only_the_letter_is_known():
    sieve = Sieve(lambda character: character in "abcdef ")
    assert sieve("Bäd-fácè, eß!") == "ad face e" and sieve.dropped == {"B": 1, "ß": 1}


def test_numbers_are_said_and_the_normaliser_can_be_left_out():
    (one,) = read("Dr. Who paid $3.")
    assert one == Sentence((Stretch("Doctor Who paid three dollars."),), 0.0)
    assert read("7 up", normaliser="")[0].text == "7 up"
    with pytest.raises(StentorError, match=r"no tn 'plan'\. Did you mean 'plain'"):
        FrontEnd("plan")


def test_tags_in_brackets():
    reading = FrontEnd().read("[style: whisper] turn on [fast]the radio. Then[/fast] wait.\n\n[loud]Now[/loud]!")
    first, second = list(reading)[:2]
    assert reading.whole == Manner(traits=("style:whisper",))
    assert first.stretches == (Stretch("turn on"), Stretch("the radio.", Manner(rate=1.45)))
    assert [one.manner.rate for one in second.stretches] == [1.45, 1.0] and second.pause == 0.7
    assert read(r"a \[b\] c")[0].text == "a [b] c"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[fst]x[/fst]", r"no tag \[fst\]. Did you mean 'fast'"),
        ("[fast]x", "never closed"),
        ("x[/fast]", "never opened"),
        ("[fast]x\n\ny[/fast]", "never closed"),
        ("a ] b", "has no '\\['"),
        ("a\n\n[style: neutral] b", "for the whole text and stands before its first word"),
    ],
)
def test_wrong_tags_get_one_sentence(text, told):
    with pytest.raises(StentorError, match=told) as caught:
        read(text)
    assert len(caught.value.problems) == 1 and caught.value.path == "text"


@pytest.mark.parametrize(
    ("between", "sentences"),
    [("." * 100_000, 334), (" " * 100_000, 1), (". " * 10_000, 2), ("?!\n" * 10_000, 2), (" \n" * 50_000, 2),
     ("." + "'" * 100_000, 334), ("\n" + " " * 100_000, 1)],
)  # fmt: skip
def test_long_runs_of_signs_and_spaces_take_no_time(between, sentences):
    began = time.process_time()
    made = read(f"One{between} Two.")
    assert time.process_time() - began < 1.0
    assert made[0].text.startswith("One") and made[-1].text.endswith("Two.") and len(made) <= sentences
    assert read(f"[fast]One[/fast]{between} Two.")[0].text.startswith("One") and time.process_time() - began < 2.0


def test_many_tags_take_no_time():
    began = time.process_time()
    assert len(read("[fast]One[/fast] two. " * 4000)) == 4000
    assert time.process_time() - began < 4.0


def test_a_long_text_is_read_a_sentence_at_a_time():
    reading = iter(FrontEnd().read("This is a sentence. " * 40_000))
    assert next(reading).text == "This is a sentence."
