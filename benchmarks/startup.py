"""What a command costs before it does anything: processor time of children, and what an installation weighs.

Contestants run interleaved as processes of their own, byte code warm; a figure is a median of user plus system time.
``trl --help`` is the peer; give its path with --trl when it lives in another environment. Run with
``python benchmarks/startup.py [--rounds N] [--trl PATH] [--recipe NAME]``. Prints one JSON line for each figure.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BIN = Path(sys.executable).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="timed runs of each contestant")
    parser.add_argument("--trl", default=shutil.which("trl", path=f"{BIN}{os.pathsep}{os.environ['PATH']}"))
    parser.add_argument("--recipe", default="asr/speechlm")
    arguments = parser.parse_args()
    commands = _commands(arguments.trl, arguments.recipe)
    seconds = {name: statistics.median(times) for name, times in _measure(commands, arguments.rounds).items()}
    for line in (*_against_peer(seconds), _validate(seconds, arguments.recipe), _weight()):
        print(json.dumps(line))


def _commands(trl: str | None, recipe: str) -> dict[str, list[str]]:
    stentor = str(BIN / "stentor")
    commands = {
        "python": [sys.executable, "-c", "0"],
        "stentor list": [stentor, "list"],
        "stentor --help": [stentor, "--help"],
        "import torch": [sys.executable, "-c", "import torch"],
        "stentor validate": [stentor, "validate", recipe],
    }
    return commands | ({"trl --help": [trl, "--help"]} if trl else {})


def _measure(commands: dict[str, list[str]], rounds: int) -> dict[str, list[float]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("STENTOR_", "PYTHONDONT"))}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for index in range(rounds + 1):  # the first round warms byte code and file cache and is not counted
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if index:
                times[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return times


def _against_peer(seconds: dict[str, float]) -> list[dict[str, object]]:
    lines = []
    for ours in ("stentor list", "stentor --help"):
        line: dict[str, object] = {"benchmark": ours, "seconds": round(seconds[ours], 3), "peer": "trl --help",
                                   "bare_python_seconds": round(seconds["python"], 3)}  # fmt: skip
        if "trl --help" in seconds:
            line |= {"peer_seconds": round(seconds["trl --help"], 3), "target_ratio": "<= 1.0",
                     "ratio": round(seconds[ours] / seconds["trl --help"], 3)}  # fmt: skip
        lines.append(line | ({} if "ratio" in line else {"note": "trl is not installed; see --trl"}))
    return lines


def _validate(seconds: dict[str, float], recipe: str) -> dict[str, object]:
    return {
        "benchmark": f"stentor validate {recipe}",
        "seconds": round(seconds["stentor validate"], 3),
        "import_torch_seconds": round(seconds["import torch"], 3),
        "seconds_more_than_import_torch": round(seconds["stentor validate"] - seconds["import torch"], 3),
        "ratio": round(seconds["stentor validate"] / seconds["import torch"], 3),
        "target_seconds_more": "<= 1.0",
    }


def _weight() -> dict[str, object]:
    everything, torch = _pulled("stentor"), _pulled("torch")
    ours = sorted(set(everything) - {"stentor", "torch"})
    without = sorted(set(ours) - set(torch))
    return {
        "benchmark": "core with all it pulls",
        "distributions_torch_apart": len(ours),
        "megabytes_torch_apart": _megabytes(ours),
        "distributions_torch_and_what_it_pulls_apart": len(without),
        "megabytes_torch_and_what_it_pulls_apart": _megabytes(without),
        "target": "<= 60 distributions, <= 300 MB, torch apart",
        "ratio": round(max(len(ours) / 60, _megabytes(ours) / 300), 3),
        "ratio_without_what_torch_pulls": round(max(len(without) / 60, _megabytes(without) / 300), 3),
        "largest": {name: _megabytes([name]) for name in sorted(ours, key=_bytes, reverse=True)[:5]},
    }


def _pulled(name: str) -> dict[str, Distribution]:
    """The installed distribution `name` and everything it requires, without the extras that nobody asked for."""
    found: dict[str, Distribution] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    met: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        one = waiting.pop()
        if one in met:
            continue
        met.add(one)
        try:
            installed = distribution(one[0])
        except PackageNotFoundError:
            continue
        found[str(canonicalize_name(one[0]))] = installed
        for text in installed.requires or []:
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in (one[1] or {""})):
                waiting.append((str(canonicalize_name(wanted.name)), frozenset(wanted.extras)))
    return found


def _bytes(name: str) -> int:
    files = distribution(name).files or []
    paths = [Path(str(file.locate())) for file in files if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _megabytes(names: list[str]) -> int:
    return round(sum(map(_bytes, names)) / 2**20)


if __name__ == "__main__":
    main()
