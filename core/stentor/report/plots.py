"""Line charts as inline SVG; colours come from the page's style sheet, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 520, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 12, 12, 42
_MOST_POINTS = 600


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        label: for the legend and the tooltip.
        points: (x, y), by x.
        style: ``s0`` ... ``s7`` are colours, ``faint`` is thin and pale.
        dots: whether the points are marked, for sparse series.
    """

    label: str
    points: Sequence[tuple[float, float]]
    style: str = "s0"
    dots: bool = False


def lines(series: Sequence[Series], *, x_label: str, y_label: str, from_zero: bool = False) -> Markup:
    """A chart of several lines, with legend; empty when there is nothing to draw."""
    drawn = [_finite(one) for one in series]
    points = [point for one in drawn for point in one.points]
    if not points:
        return Markup("")
    x, y = _axis((p[0] for p in points), False), _axis((p[1] for p in points), from_zero)
    parts = [_frame(x, y, x_label, y_label), *(_line(one, x, y) for one in drawn if one.points)]
    title = f"{y_label} over {x_label}"
    svg = Markup('<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return svg.format(_WIDTH, _HEIGHT, title, Markup("").join(parts)) + _legend(drawn)


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Mean of y over a window of about a twentieth of the points, centred, so that the curve does not lag."""
    reach = len(points) // 40 + 1
    sums = [0.0, *accumulate(y for _, y in points)]
    windows = [(max(0, n - reach), min(len(points), n + reach + 1)) for n in range(len(points))]
    return [(x, (sums[b] - sums[a]) / (b - a)) for (x, _), (a, b) in zip(points, windows, strict=True)]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover [low, high]."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10 ** math.floor(math.log10(span / about))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= about)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(step * n, 12) for n in range(first, last + 1)]


def number(value: float) -> str:
    """Short form for an axis."""
    if value and (abs(value) < 1e-4 or abs(value) >= 1e6):
        mantissa, _, power = f"{value:.1e}".partition("e")
        return f"{float(mantissa):g}e{int(power)}"
    return f"{value:g}"


def _finite(series: Series) -> Series:
    points = [(float(x), float(y)) for x, y in series.points if math.isfinite(x) and math.isfinite(y)]
    stride = max(1, math.ceil(len(points) / _MOST_POINTS))
    kept = points[::stride] + ([points[-1]] if points and (len(points) - 1) % stride else [])
    return Series(series.label, kept, series.style, series.dots)


def _axis(values: Iterable[float], from_zero: bool) -> list[float]:
    known = list(values)
    low, high = min(known), max(known)
    if from_zero:
        low = min(0.0, low)
    if low == high:
        low, high = low - (abs(low) / 2 or 1), high + (abs(high) / 2 or 1)
        low = max(0.0, low) if known[0] >= 0 else low
    return ticks(low, high)


def _x(value: float, axis: Sequence[float]) -> float:
    return _LEFT + (value - axis[0]) / (axis[-1] - axis[0]) * (_WIDTH - _LEFT - _RIGHT)


def _y(value: float, axis: Sequence[float]) -> float:
    return _HEIGHT - _BOTTOM - (value - axis[0]) / (axis[-1] - axis[0]) * (_HEIGHT - _TOP - _BOTTOM)


def _frame(x: Sequence[float], y: Sequence[float], x_label: str, y_label: str) -> Markup:
    parts, bottom = [], _HEIGHT - _BOTTOM
    for tick in y:
        at = _y(tick, y)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 7}" y="{at + 4:.1f}" text-anchor="end">{number(tick)}</text>')
    for tick in x:
        at = _x(tick, x)
        parts.append(f'<text class="tick" x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{number(tick)}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text class="axis" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 5}" text-anchor="middle">'
                 f"{escape(x_label)}</text>")  # fmt: skip
    parts.append(f'<text class="axis" transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
                 f"{escape(y_label)}</text>")  # fmt: skip
    return Markup("".join(parts))


def _line(series: Series, x: Sequence[float], y: Sequence[float]) -> Markup:
    places = [(_x(a, x), _y(b, y)) for a, b in series.points]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    drawn = Markup('<polyline class="line {}" points="{}"><title>{}</title></polyline>').format(
        series.style, path, series.label
    )
    if series.dots:
        for (a, b), (step, value) in zip(places, series.points, strict=True):
            drawn += Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="3"><title>{}</title></circle>').format(
                series.style, a, b, f"{series.label}: {value:.4g} at {step:g}"
            )
    return drawn


def _legend(series: Sequence[Series]) -> Markup:
    named = [one for one in series if one.points and one.label and one.style != "faint"]
    if len(named) < 2:
        return Markup("")
    items = (Markup('<li><i class="key {}"></i>{}</li>').format(one.style, one.label) for one in named)
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))
