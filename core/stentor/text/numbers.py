"""Numbers in English words."""

from __future__ import annotations

# fmt: off
_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
# fmt: on
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion", "quadrillion")
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
             "twelve": "twelfth"}  # fmt: skip
_LARGEST = 1000 ** len(_SCALES)


def cardinal(number: int) -> str:
    """ "two thousand three hundred five"; from 10 to the 18th on digit by digit.

    >>> cardinal(-2305)
    'minus two thousand three hundred five'
    """
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number >= _LARGEST:
        return digits(str(number))
    groups: list[str] = []
    for scale in _SCALES:
        number, group = divmod(number, 1000)
        if group:
            groups.append(f"{_below_thousand(group)} {scale}".strip())
        if not number:
            break
    return " ".join(reversed(groups)) or "zero"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    words = [_SMALL[hundreds], "hundred"] if hundreds else []
    if rest >= 20:
        words.append(_TENS[rest // 10 - 2])
        rest %= 10
    if rest:
        words.append(_SMALL[rest])
    return " ".join(words)


def ordinal(number: int) -> str:
    """ "twenty first" for 21."""
    *before, last = cardinal(number).split()
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return " ".join([*before, _ORDINALS.get(last, regular)])


def digits(written: str) -> str:
    """ "five five five" for "555"; what is no digit is left out."""
    return " ".join(_SMALL[int(digit)] for digit in written if digit in "0123456789")


def decimal(written: str) -> str:
    """A number as it is written: "1,000", "-3.14", "007"; digit by digit after the point and after a leading zero."""
    sign, bare = ("minus ", written[1:]) if written.startswith("-") else ("", written)
    whole, _, fraction = bare.replace(",", "").partition(".")
    one_by_one = len(whole) > 3 * len(_SCALES) or (len(whole) > 1 and whole.startswith("0"))
    spelled = digits(whole) if one_by_one else cardinal(int(whole or 0))
    return f"{sign}{spelled}{f' point {digits(fraction)}' if fraction else ''}"


def year(number: int) -> str:
    """ "nineteen eighty four", "two thousand nine", "twenty twenty four", "nineteen oh five"."""
    century, rest = divmod(number, 100)
    if number % 1000 < 10:
        return cardinal(number)
    tail = "hundred" if not rest else f"oh {cardinal(rest)}" if rest < 10 else cardinal(rest)
    return f"{cardinal(century)} {tail}"


def plural(words: str) -> str:
    """ "nineteen nineties", "sixes"."""
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}es" if words.endswith("x") else f"{words}s"
