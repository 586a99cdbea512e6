"""``stentor report RUN``."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="a run folder, or a folder that holds evaluation/")
    parser.add_argument("-o", "--output", type=Path, help="the file to write; default: report.html in the run folder")


def run(arguments: argparse.Namespace) -> int:
    from stentor.report import run_report

    print(f"Report: {run_report.write(arguments.run, arguments.output)}")
    return 0
