"""Completion of verbs, kinds, names, recipes and overrides in the shell; imports none of them.

bash: put  eval "$(stentor complete)"  into ~/.bashrc
zsh:  put  autoload -U bashcompinit && bashcompinit && eval "$(stentor complete)"  into ~/.zshrc
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

from stentor.plugins import Plugins, installed

SCRIPT = "complete -o default -o nospace -C 'stentor complete 2>/dev/null' stentor"
_RECIPE_VERBS = ("validate", "train", "ablate", "describe")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments: those that bash gives to a completer."""
    parser.add_argument(
        "words", nargs="*", help="given by the shell: the command, the word to complete, the word before"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the candidates for the line that is being typed, or what makes the shell ask for them."""
    line = os.environ.get("COMP_LINE")
    if line is None:
        print(SCRIPT)
        return 0
    typed = line[: int(os.environ.get("COMP_POINT", len(line)))]
    before, _, word = typed.rpartition(" ")
    # bash breaks words at '=' and '@' and wants only what follows
    given = arguments.words[1] if len(arguments.words) > 1 else word
    for candidate in candidates(before.split()[1:], installed()):
        if candidate.startswith(word):
            print(candidate[len(word) - len(given) :])
    return 0


def candidates(before: Sequence[str], plugins: Plugins) -> Iterator[str]:
    """Everything that may follow the words `before`, each with the space or ``=`` after it."""
    kinds = [kind.name for kind in plugins.registry.kinds()]
    if not before:
        yield from (f"{verb} " for verb in sorted(plugins.verbs.table))
    elif before[0] in ("list", "describe") and len(before) == 1:
        more = ["kinds", "plugins", "recipes", "verbs"] if before[0] == "list" else sorted(plugins.recipes)
        yield from (f"{word} " for word in [*kinds, *more])
    elif before[0] == "describe" and before[1] in kinds:
        yield from (f"{name} " for name in plugins.registry.names(before[1]))
    elif before[0] in _RECIPE_VERBS and len(before) == 1:
        yield from (f"{recipe} " for recipe in sorted(plugins.recipes))
    elif before[0] in _RECIPE_VERBS:
        yield from (f"{entry.kind}={entry.name} " for entry in plugins.registry.entries())
        yield from _settings()


def _settings() -> Iterator[str]:
    import dataclasses

    from stentor.config import structure

    yield from (f"{name}=" for name in structure.SCALARS)
    for section in structure.SETTINGS:
        for field in dataclasses.fields(structure.settings_class(section)):
            yield f"{section}.{field.name}="
