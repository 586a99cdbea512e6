"""Templates to one HTML file: everything that is not markup is escaped, nothing is loaded from outside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from stentor import __version__
from stentor.data.atomic import replacing


def write(path: Path, template: str, **context: Any) -> Path:
    """Render `template` to `path`, whole or not at all; a plugin's own is named ``package:template``."""
    page = render(template, **context)
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")
    return path


def render(template: str, **context: Any) -> str:
    """A page as text; named as for `write`."""
    return _environment().get_template(template).render(
        style=Markup(resource("style.css")), script=Markup(resource("page.js")), version=__version__, **context
    )  # fmt: skip


def top_of(values: list[float | None]) -> float:
    """Upper end of a scale that holds all `values`, a little above the largest."""
    return max([value for value in values if value is not None and math.isfinite(value)] or [0.0]) * 1.04 or 1.0


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested plain data as ``{"a.b": "..."}``, for tables."""
    found: dict[str, str] = {}
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{name}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                found |= flat(item, f"{name}[{number}].")
        else:
            found[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(resource), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"decimal": _decimal, "range": _range}
    return environment


def resource(name: str) -> str:
    """The text of a file in the folder ``templates`` of a package, ``package:file``; default: this package."""
    package, _, file = name.rpartition(":")
    return files(package or "stentor.report").joinpath("templates", file).read_text("utf-8")


def _decimal(value: float | None) -> str:
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}"


def _range(item: Any) -> str:
    low, high = (item["low"], item["high"]) if isinstance(item, Mapping) else (item.low, item.high)
    return "" if low is None else f"[{_decimal(low)}, {_decimal(high)}]"
