"""What signs, units, currencies, months and abbreviations are called in English."""

from __future__ import annotations

MONTHS = {"Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "May": "May", "Jun": "June",
          "Jul": "July", "Aug": "August", "Sep": "September", "Oct": "October", "Nov": "November",
          "Dec": "December"}  # fmt: skip
CURRENCIES = {
    "$": (("dollar", "dollars"), ("cent", "cents")),
    "£": (("pound", "pounds"), ("penny", "pence")),
    "€": (("euro", "euros"), ("cent", "cents")),
    "¥": (("yen", "yen"), ("", "")),
}
SCALES = {"thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion", "k": "thousand",
          "m": "million", "bn": "billion", "b": "billion"}  # fmt: skip
FRACTIONS = {2: "half", 4: "quarter"}
_PLAIN_UNITS = {
    "km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "mi": "mile", "kg": "kilogram",
    "g": "gram", "mg": "milligram", "lb": "pound", "lbs": "pound", "oz": "ounce", "l": "liter", "L": "liter",
    "ml": "milliliter", "ms": "millisecond", "s": "second", "sec": "second", "min": "minute", "h": "hour", "hr": "hour",
    "hrs": "hour", "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "W": "watt", "kW": "kilowatt", "V": "volt", "yd": "yard", "mol": "mole",
}  # fmt: skip
UNITS: dict[str, tuple[str, str]] = {short: (name, f"{name}s") for short, name in _PLAIN_UNITS.items()} | {
    "ft": ("foot", "feet"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "dB": ("decibel", "decibels"),
    "mph": ("mile per hour", "miles per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "m/s": ("meter per second", "meters per second"),
    "%": ("percent", "percent"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
}
ABBREVIATIONS = {
    "dr": "Doctor", "mr": "Mister", "mrs": "Missus", "ms": "Miz", "prof": "Professor", "st": "Street", "jr": "Junior",
    "sr": "Senior", "vs": "versus", "etc": "et cetera", "e.g": "for example", "i.e": "that is",
    "approx": "approximately",
    "ave": "Avenue", "rd": "Road", "blvd": "Boulevard", "inc": "Incorporated", "ltd": "Limited", "corp": "Corporation",
    "dept": "Department", "gen": "General", "gov": "Governor", "capt": "Captain", "lt": "Lieutenant", "sgt": "Sergeant",
    "rev": "Reverend", "mt": "Mount", "sen": "Senator", "rep": "Representative", "univ": "University", "vol": "volume",
    "jan": "January", "feb": "February", "apr": "April", "aug": "August", "sept": "September", "oct": "October",
    "nov": "November", "dec": "December",
}  # fmt: skip
"""Without their last point, in lower case."""
SIGNS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "%": "percent", "°": "degrees", "÷": "divided by",
    "<": "less than", ">": "greater than", "~": "about", "#": "hash", "§": "section", "©": "copyright", "$": "dollars",
    "£": "pounds", "€": "euros", "¥": "yen", "±": "plus or minus", "≈": "about", "≤": "at most", "≥": "at least",
    "≠": "is not", "µ": "micro", "\N{MULTIPLICATION SIGN}": "times",
}  # fmt: skip
