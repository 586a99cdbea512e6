"""Overrides of the command line, parsed with Hydra's grammar."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stentor.errors import Problem, StentorError

SOURCE = "command line"


@dataclass(frozen=True)
class Given:
    """One override: ``key@at=value``, or ``~key`` to delete. ``+`` and ``++`` mean nothing more here."""

    key: str
    at: str | None
    value: Any
    delete: bool
    text: str


def parse(overrides: Sequence[str]) -> tuple[list[Given], list[Problem]]:
    """Every override that can be read, and what is wrong with the others."""
    found, problems = [], []
    for text in overrides:
        try:
            override = _parse_one(text)
            if override.is_sweep_override():
                raise StentorError(
                    f"'{text}' gives several values; write [a,b] for a list, quote it for text, or sweep "
                    f"over them with 'stentor ablate' or 'stentor train -m'.",
                    path=override.key_or_group,
                )
            found.append(Given(override.key_or_group, override.package, override.value(), override.is_delete(), text))
        except StentorError as error:
            problems += [Problem(p.message, p.path, text, source=SOURCE) for p in error.problems]
    return found, problems


def expand_sweep(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of the values that the overrides list, in order.

    Raises:
        StentorError: for what cannot be parsed, or has no finite list of values.
    """
    axes = []
    for text in overrides:
        override = _parse_one(text)
        if not override.is_sweep_override():
            axes.append([text])
        elif not override.is_discrete_sweep() or "glob" in text:
            raise StentorError(f"'{text}' has no list of values to try; write key=a,b,c or key=range(1,4).")
        else:
            axes.append([f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()])
    return list(itertools.product(*axes))


def _parse_one(text: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except (HydraException, OmegaConfBaseException, ValueError, ArithmeticError, RecursionError) as error:
        lines = str(error).splitlines() if isinstance(error, HydraException) else []
        detail = f" ({lines[0][:200]})" if lines else ""
        raise StentorError(
            f"'{text[:200]}' is no override; write key=value, such as encoder.dim=256{detail}.",
            value=text,
            suggestion=None,
        ) from error


def apply(config: DictConfig, given: Given) -> Problem | None:
    """Change one value in place; keys need not exist, for the schema is checked afterwards."""
    if given.at is not None:
        return Problem(
            f"'{given.key}@{given.at}' is no kind of component and role.", given.key, given.text, source=SOURCE
        )
    try:
        if given.delete:
            return _delete(config, given)
        OmegaConf.update(config, given.key, given.value, merge=True, force_add=True)
    except (
        OmegaConfBaseException,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        AssertionError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Problem(f"'{given.text}' does not fit what is there: {reason}.", given.key, given.value, source=SOURCE)
    return None


def _delete(config: DictConfig, given: Given) -> Problem | None:
    above, _, last = given.key.rpartition(".")
    node = OmegaConf.select(config, above) if above else config
    if not isinstance(node, DictConfig) or last not in node:
        return Problem(f"'{given.text}' deletes what is not there.", given.key, given.text, source=SOURCE)
    del node[last]
    return None
