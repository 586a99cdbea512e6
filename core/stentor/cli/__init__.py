"""The command line: one module per verb, imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from stentor import __version__
from stentor.errors import StentorError
from stentor.plugins import installed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``stentor VERB ...`` and return the exit code: 0 fine, 1 something failed, 2 bad input."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(words)
    except StentorError as error:
        for problem in error.problems:
            print(f"stentor: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stentor: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["--version"]:
        print(f"stentor {__version__}")
        return 0
    verbs = installed().verbs.table
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if words[0] not in verbs:
        raise StentorError(f"there is no verb '{words[0]}'.", value=words[0], options=sorted(verbs))
    verb = verbs[words[0]]
    module = importlib.import_module(verb.module)
    parser = argparse.ArgumentParser(prog=f"stentor {verb.name}", description=verb.help)
    module.add_arguments(parser)
    return int(module.run(_parse(parser, words[1:])) or 0)


def _parse(parser: argparse.ArgumentParser, words: list[str]) -> argparse.Namespace:
    """Options may stand anywhere among the words, as in ``prepare folder SOURCE -o FOLDER speaker=folder``."""
    try:
        return parser.parse_intermixed_args(words)
    except TypeError:  # argparse refuses it to parsers that have sub-commands
        return parser.parse_args(words)


def _overview() -> str:
    verbs = installed().verbs.table
    width = max(map(len, verbs))
    lines = [f"  {name:<{width}}  {verb.help}" for name, verb in sorted(verbs.items())]
    return "usage: stentor VERB ...\n\nverbs:\n" + "\n".join(lines) + "\n\nstentor VERB --help tells more of one."
