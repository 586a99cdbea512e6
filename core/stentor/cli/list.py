"""``stentor list [KIND]``."""

from __future__ import annotations

import argparse

from stentor.plugins import installed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help="list only this kind; 'recipes' and 'plugins' work too")


def run(arguments: argparse.Namespace) -> int:
    for entry in installed().registry.entries(arguments.kind):
        print(f"{entry.kind:<10} {entry.name:<20} {entry.origin}  {entry.target}")
    return 0
