"""``stentor check KIND NAME [key=value ...]``: run the contract of a component."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor.testing import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kind", help="encoder, adapter, ...")
    parser.add_argument("name", help="of a registered component")
    parser.add_argument("config", nargs="*", metavar="key=value", help="options to build it with, e.g. dim=32")


def run(arguments: argparse.Namespace) -> int:
    """Print one line per check; 1 when one failed."""
    config = parsed(arguments.config)
    from stentor.testing import check

    results = check(arguments.kind, arguments.name, **config)
    for result in results:
        print(result)
    print(summary(results))
    return int(any(result.outcome == "failed" for result in results))


def parsed(pairs: Sequence[str]) -> dict[str, Any]:
    """``key=value`` words as keyword arguments; values are read as YAML."""
    import yaml

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise StentorError(f"'{pair}' is no option; write it as key=value, e.g. dim=32.")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise StentorError(f"the value of '{key}' cannot be read: {value!r}.") from error
    return found


def summary(results: Sequence[Result]) -> str:
    """The closing line: how many checks ended how."""
    outcomes = [result.outcome for result in results]
    told = {"passed": "passed", "failed": "failed", "skipped": "skipped", "expected": "failed as declared"}
    counts = [f"{outcomes.count(key)} {words}" for key, words in told.items() if key in outcomes]  # type: ignore[arg-type]
    return f"{results[0].kind} '{results[0].name}': {', '.join(counts)}"
