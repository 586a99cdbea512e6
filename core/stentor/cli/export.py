"""``stentor export RUN -o FOLDER``: what a run has come to, in a folder to give away that is used like the run."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="the run folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--embed", action="store_true", help="put frozen pretrained weights inside, too")
    parser.add_argument("--backbone", action="store_true",
                        help="add backbone/, the causal language model as transformers loads it")  # fmt: skip
    parser.add_argument("--license", default="other", metavar="ID", help="of the weights, for the model card")


def run(arguments: argparse.Namespace) -> int:
    from stentor.train.export import export

    made = export(arguments.run, arguments.output, embedded=arguments.embed, backbone=arguments.backbone,
                  licence=arguments.license)  # fmt: skip
    files = [path for path in made.rglob("*") if path.is_file()]
    print(f"Exported: {made} ({len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB)")
    return 0
