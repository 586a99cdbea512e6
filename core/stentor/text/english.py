"""How English is read out: dates, times, money, measures, abbreviations and signs, as rules applied in order."""

from __future__ import annotations

import re
from collections.abc import Callable

from stentor.text.numbers import cardinal, decimal, digits, ordinal, plural, year
from stentor.text.words import ABBREVIATIONS, CURRENCIES, FRACTIONS, MONTHS, SCALES, SIGNS, UNITS

_LAST = ("etc", "jr", "sr", "inc", "ltd", "corp", "st", "ave", "rd", "blvd")
"""Abbreviations that often end a sentence."""
Match = re.Match[str]
Rule = tuple[re.Pattern[str], Callable[[Match], str]]
_MONTH = "|".join([*MONTHS.values(), *(f"{short}\\.?" for short in MONTHS)])
_UNIT = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_LONGEST = 15
"""Digits of a whole number that is more than a row of digits."""


def spoken(text: str) -> str:
    """One line of `text` as it is said; letters that belong to no rule, and punctuation, stay."""
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    return re.sub(r"\s+([,.!?;:])", r"\1", " ".join(text.split()))


def _address(found: Match) -> str:
    """Of the web, or of mail."""
    bare = re.sub(r"^(https?://)?(www\.)?", "", found[0], flags=re.IGNORECASE).rstrip("/")
    signs = {"@": "at", ".": "dot", "/": "slash", "-": "dash", "_": "underscore"}
    return " ".join(signs.get(part, part) for part in re.findall(r"[^\W_]+|[@./_-]", bare))


def _money(found: Match) -> str:
    (one, many), (cent, cents) = CURRENCIES[found["sign"]]
    whole, _, fraction = found["amount"].replace(",", "").partition(".")
    if found["scale"]:
        return f"{decimal(found['amount'])} {SCALES[found['scale'].lower()]} {many}"
    if len(fraction) not in (0, 2) or not cents or len(whole) > _LONGEST:
        return f"{decimal(found['amount'])} {one if found['amount'] == '1' else many}"
    said = (
        [f"{cardinal(int(whole))} {one if int(whole) == 1 else many}"] if int(whole) or not int(fraction or 0) else []
    )
    if int(fraction or 0):
        said.append(f"{cardinal(int(fraction))} {cent if int(fraction) == 1 else cents}")
    return " and ".join(said)


def _time(found: Match) -> str:
    hour, minute, half = int(found["hour"]), int(found["minute"] or 0), found["half"]
    tail = f" {half.lower()} m" if half else ""
    tail += "." if half and _ends_sentence(found) else ""
    if not minute:
        return f"{cardinal(hour)}{tail or (' o' + chr(39) + 'clock')}"
    return f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)}{tail}"


def _ends_sentence(found: Match) -> bool:
    """Whether the last point of an abbreviation is the sentence's as well."""
    after = found.string[found.end() :][:3].lstrip(" ")
    return found[0].endswith(".") and (not after or after[0].isupper())


def _month_first(found: Match) -> str:
    after = f", {year(int(found['year']))}" if found["year"] else ""
    return f"{_month(found['month'])} {ordinal(int(found['day']))}{after}"


def _day_first(found: Match) -> str:
    after = f", {year(int(found['year']))}" if found["year"] else ""
    return f"the {ordinal(int(found['day']))} of {_month(found['month'])}{after}"


def _month(written: str) -> str:
    return MONTHS.get(written[:3].title(), written)


def _by_number(found: Match) -> str:
    """2024-05-03 and 5/3/2024."""
    month, day = int(found["month"]), int(found["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return " ".join(decimal(part) for part in re.findall(r"\d+", found[0]))
    return f"{list(MONTHS.values())[month - 1]} {ordinal(day)}, {year(int(found['year']))}"


def _measure(found: Match) -> str:
    one, many = UNITS[found["unit"]]
    return f"{decimal(found['number'])} {one if found['number'] in ('1', '-1') else many}"


def _fraction(found: Match) -> str:
    top, bottom = int(found["top"]), int(found["bottom"])
    before = f"{cardinal(int(found['whole']))} and " if found["whole"] else ""
    if not 2 <= bottom <= 20 or top >= bottom:
        return f"{before}{cardinal(top)} over {cardinal(bottom)}"
    name = FRACTIONS.get(bottom, ordinal(bottom))
    several = "halves" if bottom == 2 else plural(name)
    return f"{before}{cardinal(top)} {name if top == 1 else several}"


def _telephone(found: Match) -> str:
    return ", ".join(digits(group) for group in re.findall(r"\d+", found[0]))


def _version(found: Match) -> str:
    return f" {' point '.join(map(decimal, found[0].split('.')))} "


def _abbreviation(found: Match) -> str:
    said = ABBREVIATIONS[found[1].lower()]
    return f"{said}." if found[1].lower() in _LAST and _ends_sentence(found) else said


def _initials(found: Match) -> str:
    """ "U.S.A." and "U.S." letter by letter."""
    return " ".join(found[0].replace(".", " ").split()) + ("." if _ends_sentence(found) else "")


def _rule(pattern: str, say: Callable[[Match], str], flags: int = 0) -> Rule:
    return re.compile(pattern, flags), say


RULES: tuple[Rule, ...] = (
    _rule(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}|\b(?:https?://|www\.)[\w./-]{1,200}\w|"
          r"\b[\w-]{1,63}\.(?:com|org|net|edu|gov|io)\b(?:/[\w./-]{0,200}\w)?", _address),
    _rule(rf"(?P<sign>[$£€¥])\s?(?P<amount>{_NUMBER})(?:\s?(?P<scale>{'|'.join(SCALES)})\b)?", _money, re.IGNORECASE),
    _rule(r"\b(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::[0-5]\d)?(?:\s?(?P<half>[ap])\.?m\b\.?(?=\W|$))?", _time,
          re.IGNORECASE),
    _rule(r"\b(?P<hour>1?\d)(?P<minute>)\s?(?P<half>[ap])\.?m\b\.?", _time, re.IGNORECASE),
    _rule(r"\b(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b", _by_number),
    _rule(r"\b(?P<month>\d\d?)/(?P<day>\d\d?)/(?P<year>\d{4})\b", _by_number),
    _rule(rf"\b(?P<month>{_MONTH})\s(?P<day>\d\d?)(?:st|nd|rd|th)?\b(?:,?\s(?P<year>\d{{4}})\b)?", _month_first),
    _rule(rf"\b(?P<day>\d\d?)(?:st|nd|rd|th)?(?:\sof)?\s(?P<month>{_MONTH})\b(?:,?\s(?P<year>\d{{4}})\b)?", _day_first),
    _rule(r"(?:\+?\b\d{1,3}[ -])?(?:\(\d{3}\) ?|\b\d{3}[ .-])\d{3}[.-]\d{4}\b|\b\d{3}-\d{4}\b", _telephone),
    _rule(r"\b(1\d|20)(\d)0s\b", lambda found: plural(year(int(found[0][:-1])))),
    _rule(r"'(\d)0s\b", lambda found: plural(cardinal(10 * int(found[1])))),
    _rule(rf"(?<![\w.])(?P<number>-?{_NUMBER})\s?(?P<unit>{_UNIT})"
          r"(?![\w/])", _measure),
    _rule(r"\b(?:(?P<whole>\d{1,9})\s)?(?P<top>\d{1,3})/(?P<bottom>\d{1,3})\b(?!/)", _fraction),
    _rule(r"\b(\d{1,15})(?:st|nd|rd|th)\b", lambda found: ordinal(int(found[1]))),
    _rule(r"\b(?:No|Nos|no)\.\s?(?=\d)|#\s?(?=\d)", lambda _: "number "),
    _rule(r"\b(St)\.(?=\s[A-Z])", lambda _: "Saint"),
    _rule(rf"\b({'|'.join(map(re.escape, sorted(ABBREVIATIONS, key=len, reverse=True)))})\.", _abbreviation,
          re.IGNORECASE),
    _rule(r"\b(?:[A-Za-z]\.){2,9}(?=\s|$|[,;:!?])", _initials),
    _rule(r"(?<=\d)\s?[-\N{EN DASH}]\s?(?=\d)", lambda _: " to "),
    _rule(r"(?<=\d):(?=\d)", lambda _: " to "),
    _rule(r"(?<![\d.])\d{1,9}(?:\.\d{1,9}){2,9}\b", _version),
    _rule(r"(?<![\d.,])\b(1[1-9]\d\d|20\d\d)\b(?![.,]?\d)", lambda found: year(int(found[0]))),
    _rule(rf"(?<![\w.])-(?={_NUMBER})", lambda _: "minus "),
    _rule(_NUMBER, lambda found: f" {decimal(found[0])} "),
    _rule("|".join(map(re.escape, SIGNS)), lambda found: f" {SIGNS[found[0]]} "),
    _rule(r"(?<=\w)/(?=\w)|[_*|\\^`]", lambda _: " "),
)  # fmt: skip
"""Longer readings come before shorter ones: a date before its numbers."""
