"""Finds the verb that was asked for, runs it, and tells what went wrong in a sentence."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from stentor import __version__
from stentor.errors import StentorError
from stentor.plugins import installed
from stentor.registry import Verb


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``stentor VERB ...`` and return the exit code: 0 fine, 1 something failed, 2 bad input.

    Bad input and what the system refuses (no space, no permission) are told in a sentence; ``STENTOR_TRACE=1`` adds the
    traceback.
    """
    # OpenMP threads that wait by spinning take the core from the thread they wait for when anything else runs: a
    # training step was seen to take 17 times as long. It must be said before torch loads its OpenMP.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "10")  # s; a log file wants few lines of a progress bar
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(words)
    except StentorError as error:
        _trace()
        for problem in error.problems:
            print(f"stentor: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stentor: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # the reader of our output has gone; Python's own flush at exit would complain of the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _trace()
        where = f": '{error.filename}'" if error.filename else ""
        print(f"stentor: {error.strerror or error}{where}.", file=sys.stderr)
        return 1


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
    import argparse

    verb = verbs[words[0]]
    module = _module_of(verb)
    description = (module.__doc__ or verb.help).strip()
    parser = argparse.ArgumentParser(prog=f"stentor {verb.name}", description=description,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    module.add_arguments(parser)
    return int(module.run(parser.parse_intermixed_args(words[1:])) or 0)


def _module_of(verb: Verb) -> ModuleType:
    try:
        return importlib.import_module(verb.module)
    except (Exception, SystemExit) as cause:  # whatever a stranger's module raises is its own failure
        if isinstance(cause, StentorError):
            raise
        reason = f"{type(cause).__name__}: {cause}"
        raise StentorError(f"verb '{verb.name}' of {verb.origin} cannot be loaded: {reason}") from cause


def _overview() -> str:
    verbs = installed().verbs.table
    width = max(map(len, verbs), default=0)
    lines = [f"  {name:<{width}}  {verb.help}" for name, verb in sorted(verbs.items())]
    return "usage: stentor VERB ...\n\nverbs:\n" + "\n".join(lines) + "\n\nstentor VERB --help tells more of one."


def _trace() -> None:
    if os.environ.get("STENTOR_TRACE") == "1":
        import traceback

        traceback.print_exc()
