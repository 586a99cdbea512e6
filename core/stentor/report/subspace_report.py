"""The report of a subspace analysis: spectra, truncation curves, the free directions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from stentor.report import page
from stentor.report.plots import Series, lines

Result = Mapping[str, Any]


def write(result: Result, path: Path) -> Path:
    """Write the page; see `stentor.report.page`."""
    return page.write(
        path,
        "subspace.html.jinja",
        result=result,
        summary=summary(result),
        charts=[("Singular values of the centred outputs", _spectrum(result["outputs"]))]
        + [(f"Singular values of {name}", _spectrum(found)) for name, found in result["weights"].items()]
        + [(f"Directions kept, {name}", _curve(result, found)) for name, found in result["sets"].items()],
        tables=[(name, _rows(found["truncation"])) for name, found in result["sets"].items()],
    )


def summary(result: Result) -> list[str]:
    """The findings, a sentence each."""
    adapter, outputs = result["adapter"], result["outputs"]
    trained, before = outputs["trained"], outputs["untrained"]
    told = [
        f"{adapter['class']} {adapter['name']}: {adapter['parameters']} parameters, {adapter['dim']} dimensions out.",
        f"Outputs: effective rank {trained['effective_rank']:.1f}, untrained {before['effective_rank']:.1f}; "
        f"95 % of the energy in {trained['needed']['0.95']} directions, untrained {before['needed']['0.95']}.",
    ]
    told += [f"'{pattern}' taken from the run {other}." for pattern, other in result.get("swaps", {}).items()]
    for name, found in result["sets"].items():
        told.append(f"{name}: {result['metric'].upper()} {_ranged(found['full'])} with all directions.")
        told += [f"  {one['directions']}, {one['k']}: {_ranged(one)}{_moved(one)}" for one in found["truncation"]]
        told += [f"  {line}" for line in _free(found["free"])]
    return told


def _free(found: Mapping[str, Any]) -> list[str]:
    if "skipped" in found:
        return [f"free directions: not tested, {found['skipped']}"]
    return [
        f"speaker vector beyond the first {found['used']}: {_ranged(found['with'])} against "
        f"{_ranged(found['without'])} without{_moved(found['with'])}",
        f"speakers named there: {found['accuracy_with']:.1f} %, without the vector {found['accuracy_without']:.1f} %, "
        f"chance {found['chance']:.1f} %",
    ]


def _ranged(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    return f"{found['value']:.2f} [{low:.2f}, {high:.2f}]"


def _moved(found: Mapping[str, Any]) -> str:
    if "change" not in found:
        return ""
    low, high = found["change_interval"]
    return f" ({found['change']:+.1f} % [{low:+.1f}, {high:+.1f}])"


def _spectrum(found: Mapping[str, Mapping[str, Any]]) -> Markup:
    series = [
        Series(label, _relative(found[label]["values"]), style)
        for label, style in (("trained", "s0"), ("untrained", "s1"))
    ]
    return lines(series, x_label="direction", y_label="log10 of value / largest")


def _relative(values: Sequence[float]) -> list[tuple[float, float]]:
    """(number, logarithm of the value over the largest); what is nothing beside it is left out."""
    top = values[0] or 1.0
    return [(n, math.log10(value / top)) for n, value in enumerate(values, 1) if value > 1e-6 * top]


def _curve(result: Result, found: Mapping[str, Any]) -> Markup:
    kinds = dict.fromkeys(one["directions"] for one in found["truncation"])
    dim, full = result["adapter"]["dim"], found["full"]["value"]
    series = [
        Series(kind, [*_points(found, kind), (dim, full)], f"s{number % 8}", dots=True)
        for number, kind in enumerate(kinds)
    ]
    return lines(series, x_label="directions kept", y_label=f"{result['metric'].upper()} (%)", from_zero=True)


def _points(found: Mapping[str, Any], kind: str) -> list[tuple[float, float]]:
    return [(one["k"], one["value"]) for one in found["truncation"] if one["directions"] == kind]


def _rows(truncation: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [[str(one["k"]), one["directions"], _ranged(one), _moved(one).strip(" ()")] for one in truncation]
