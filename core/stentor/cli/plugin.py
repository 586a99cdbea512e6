"""``stentor plugin new NAME [--kind KIND] [-o FOLDER]``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=["new"], help="write a complete plugin, with tests that pass, to start from")
    parser.add_argument("name", help="of the plugin and its component, e.g. bird-song")
    parser.add_argument("--kind", default="encoder", help="what it adds (default: encoder)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="FOLDER", help="where to put it (default: here)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the plugin and say what to do next."""
    from stentor.scaffold import write_plugin

    folder = write_plugin(arguments.name, arguments.kind, arguments.output)
    print(f"wrote {folder}")
    print(f"next: pip install -e '{folder}[test]' && pytest {folder}")
    return 0
