"""What is written, as it is said."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.text import numbers
from stentor.text.spoken import Nemo, Plain

SAID = {
    "It cost $3.20 at 10:30 pm, on March 3, 2024.": "It cost three dollars and twenty cents at ten thirty p m, "
    "on March third, twenty twenty four.",
    "Dr. Smith, 5 Elm St. near St. Paul, e.g. No. 7": "Doctor Smith, five Elm Street near Saint Paul, "
    "for example number seven",
    "1,234 people & 50% of 3.14 or -5 °C": "one thousand two hundred thirty four people and fifty percent of "
    "three point one four or minus five degrees Celsius",
    "call 555-123-4567": "call five five five, one two three, four five six seven",
    "mail joe.b_x@mail.com, www.a-b.org/c": "mail joe dot b underscore x at mail dot com, a dash b dot org slash c",
    "In 1984, the 1990s; 2009, 1905": "In nineteen eighty four, the nineteen nineties; two thousand nine, "
    "nineteen oh five",
    "2024-05-03 and 5/3/2024, 3rd of May": "May third, twenty twenty four and May third, twenty twenty four, "
    "the third of May",
    "1/2, 2 3/4 miles, 22/7": "one half, two and three quarters miles, twenty two over seven",
    "10-12 people, 3:1": "ten to twelve people, three to one",
    "U.S.A. today, etc.": "U S A today, et cetera.",
    "5km, 1 kg, 60 mph": "five kilometers, one kilogram, sixty miles per hour",
    "$1.5 million, £1, €0.99, ¥500, $0": "one point five million dollars, one pound, ninety nine cents, "
    "five hundred yen, zero dollars",
    "7 p.m. Then 10:05, 10:00": "seven p m. Then ten oh five, ten o'clock",
    "007, mp3, v1.2.3": "zero zero seven, mp three, v one point two point three",
    "21st and/or 12th": "twenty first and or twelfth",
    "No. I am not.": "No. I am not.",
}


@pytest.mark.parametrize("written", SAID)
def test_plain_says(written):
    assert Plain()(written) == SAID[written]


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "zero"), (13, "thirteen"), (40, "forty"), (100, "one hundred"), (1_000_001, "one million one"),
     (-2305, "minus two thousand three hundred five"), (10**18, "one zero" + " zero" * 17)],
)  # fmt: skip
def test_cardinals(number, words):
    assert numbers.cardinal(number) == words


def test_ordinals_and_years():
    assert [numbers.ordinal(n) for n in (1, 2, 3, 8, 12, 20, 42, 100)] == [
        "first", "second", "third", "eighth", "twelfth", "twentieth", "forty second", "one hundredth"
    ]  # fmt: skip
    assert [numbers.year(n) for n in (1900, 2000, 1066)] == ["nineteen hundred", "two thousand", "ten sixty six"]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("0123456789 .,:/-$£%°@#&+kmaptshSt'\N{EN DASH}"), max_size=40))
def test_no_digit_is_left_and_nothing_breaks(text):
    said = Plain()(text)
    assert not any(character in "0123456789" for character in said) and said == " ".join(said.split())


@pytest.mark.parametrize("text", ["1" * 20_000, "a." * 10_000, "1," * 10_000, "a@" * 10_000, "A.B." * 5_000])
def test_long_runs_cost_little(text):
    assert len(Plain()(text)) > 10


def test_nemo_says_dates_times_and_money():
    pytest.importorskip("nemo_text_processing", reason="the extra 'text' is not installed")
    say = Nemo()
    assert say("It cost $25.10 on March 3.") == "It cost twenty five dollars ten cents on march third."
    assert say("turn left at the bridge") == "turn left at the bridge" and say(" ") == ""
