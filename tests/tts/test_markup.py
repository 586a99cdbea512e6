"""Text with tags: what it means, and one clear sentence for everything that is wrong with it."""

import subprocess
import sys

import pytest

from stentor.errors import StentorError
from stentor_tts.inventory import NEUTRAL, Inventory, Style, style_of
from stentor_tts.markup import TagSpan, parse

INVENTORY = Inventory(voices=("hibari",), emotions=("happy",))


def test_words_spans_and_style():
    found = parse("[style: whisper, very slow] set the [fast]alarm clock[/fast], now", INVENTORY)
    assert found.words == ("set", "the", "alarm", "clock,", "now")
    assert found.spans == (TagSpan("fast", 2, 4),)
    assert found.style == Style(styles=("whisper",), levels=(("rate", -2),))
    assert list(found.stretches()) == [("set the", ""), ("alarm clock,", "fast"), ("now", "")]
    assert found.text == "set the alarm clock, now"


def test_text_without_tags_is_words_alone():
    found = parse("nothing but\nwords", INVENTORY)
    assert (found.words, found.spans, found.style) == (("nothing", "but", "words"), (), NEUTRAL)


def test_brackets_can_be_written():
    assert parse(r"see \[note 1\] there", INVENTORY).words == ("see", "[note", "1]", "there")


WRONG = {
    "[fsat]a[/fsat]": "no tag \\[fsat\\]. Did you mean 'fast'",
    "[fast]a": r"\[fast\] is never closed; write \[/fast\]",
    "a[/fast]": r"\[/fast\] closes what was never opened",
    "[fast]a [loud]b[/loud][/fast]": r"\[loud\] stands inside of \[fast\]",
    "[fast]a [loud]b[/fast] c[/loud]": r"\[loud\] crosses \[fast\]",
    "[fast]a [fast]b[/fast] c[/fast]": r"\[fast\] stands inside of \[fast\]",
    "[fast][/fast] a": "there is no word",
    "a [ b": "a '\\[' has no '\\]'",
    "a ] b": "a '\\]' has no '\\['",
    "x [style: slow] y": "stands before its first word",
    "[style: loudly] x": "no style 'loudly'. Did you mean 'loud'",
    "[style: rate=3] x": "levels from -2 to 2, not 3",
    "[style: voice=hibary] x": "no voice 'hibary'. Did you mean 'hibari'",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_told_in_one_sentence(text):
    with pytest.raises(StentorError, match=WRONG[text]) as told:
        parse(text, INVENTORY)
    assert len(told.value.problems) == 1


@pytest.mark.parametrize("text", WRONG)
def test_leniently_the_words_are_kept(text):
    found = parse(text, INVENTORY, lenient=True)
    assert found.words and not any(mark in found.text for mark in "[]")
    assert set(found.words) <= {"a", "b", "c", "x", "y"}


def test_leniently_the_outer_span_stays():
    found = parse("[fast]a [loud]b[/loud] c[/fast] d", INVENTORY, lenient=True)
    assert found.spans == (TagSpan("fast", 0, 3),) and len(found.ignored) == 1


def test_styles_in_words_and_in_manifests_say_the_same():
    told = style_of("happy, whisper, very loud, slow, hibari", INVENTORY)
    fields = {"voice": "hibari", "emotion": "happy", "whisper": True, "energy": 2, "rate": -1, "pitch": 0}
    assert told == style_of(fields, INVENTORY)
    assert told.controls() == ("voice:hibari", "style:whisper", "emotion:happy", "rate:-1", "energy:+2")
    assert set(told.controls()) <= set(INVENTORY.controls())
    assert style_of("rate -1, energy: 2", INVENTORY).levels == told.levels
    assert style_of({"whisper": False, "rate": 0}, INVENTORY) == style_of("neutral", INVENTORY) == NEUTRAL


def test_everything_wrong_with_a_style_is_told_at_once():
    with pytest.raises(StentorError) as told:
        style_of({"rate": 7, "sing": True, "voice": "nobody"}, INVENTORY)
    assert len(told.value.problems) == 3
    assert style_of({"rate": 7, "sing": True, "energy": 1}, INVENTORY, lenient=True).levels == (("energy", 1),)


def test_reading_tags_needs_no_torch():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, stentor_tts.markup; sys.exit('torch' in sys.modules)"], check=False
    )
    assert done.returncode == 0
