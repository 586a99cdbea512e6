"""One cell of an ablation, in a process of its own: train it or go on with it, score it, say what it cost.

``python -m stentor.ablate.cell FOLDER`` does what ``FOLDER/cell.json`` asks for and writes ``FOLDER/outcome.json``.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stentor.errors import StentorError
from stentor.evaluate.journal import write_json

ASKED, OUTCOME, PARTLY = "cell.json", "outcome.json", "partly.json"


@dataclass(frozen=True)
class Steps:
    """What carries a cell out; replaced in tests.

    Attributes:
        compose: recipe name and overrides to a recipe.
        fit: trains a recipe into a folder; False when it was stopped.
        resume: goes on with a folder; False when it was stopped.
        evaluate: scores the run in a folder and gives the sizes of its model.
    """

    compose: Callable[[str, list[str]], Any]
    fit: Callable[[Any, Path], bool]
    resume: Callable[[Path], bool]
    evaluate: Callable[[Path], dict[str, Any]]


def run(folder: Path, steps: Steps) -> dict[str, Any]:
    """Carry the cell out as far as it is not done yet.

    Returns:
        The outcome, also written to ``outcome.json``: ``status`` is ``done``, ``failed`` (with ``error``) or
        ``stopped``.
    """
    try:
        outcome = _carry_out(folder, steps)
    except Exception as cause:  # whatever goes wrong in a cell is the cell's outcome; the others go on
        told = str(cause) if isinstance(cause, StentorError) else f"{type(cause).__name__}: {cause}"
        outcome = {"status": "failed", "error": told}
        traceback.print_exc()
    write_json(folder / OUTCOME, outcome)
    return outcome


def finished(folder: Path) -> bool:
    """Whether the cell needs nothing more."""
    return read(folder / OUTCOME).get("status") == "done"


def read(path: Path) -> dict[str, Any]:
    """A JSON object, empty when the file is not there or damaged."""
    try:
        told = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _carry_out(folder: Path, steps: Steps) -> dict[str, Any]:
    asked, partly = read(folder / ASKED), read(folder / PARTLY)
    recipe = steps.compose(asked["recipe"], asked["overrides"])
    if not partly.get("trained"):
        if not _train(recipe, folder, steps):
            return {"status": "stopped"}
        partly = {"trained": True, "train_memory_mb": _peak_memory()}
        write_json(folder / PARTLY, partly)
    return {"status": "done", **partly, **_training_time(folder), **steps.evaluate(folder)}


def _train(recipe: Any, folder: Path, steps: Steps) -> bool:
    if not (folder / "config.yaml").exists():
        return steps.fit(recipe, folder)
    _check_same(recipe, folder)
    return steps.resume(folder)


def _check_same(recipe: Any, folder: Path) -> None:
    """A half-trained cell goes on only when the recipe is still what it began with."""
    from stentor.config import Recipe

    if Recipe.from_file(folder / "config.yaml").config != recipe.config:
        raise StentorError("the recipe has changed since this cell began; ablate into another folder, or remove it.",
                           path=str(folder))  # fmt: skip


def _training_time(folder: Path) -> dict[str, float]:
    from stentor.report.gather import metric_lines

    elapsed = [line["elapsed"] for line in metric_lines(folder) if isinstance(line.get("elapsed"), int | float)]
    return {"train_seconds": elapsed[-1]} if elapsed else {}


def _peak_memory() -> float:
    from stentor.evaluate.machine import peak_memory_mb

    return peak_memory_mb()


def _evaluate(folder: Path) -> dict[str, Any]:
    from stentor.evaluate.runner import evaluate_set
    from stentor.evaluate.subjects import of_run

    subject, settings = of_run(folder, None, ())
    there = {name: path for name, path in settings.sets.items() if Path(path).is_file()}
    if not there:
        raise StentorError("no set could be scored: none of the recipe's manifests exists.", path="evaluate.sets")
    for name, path in there.items():
        evaluate_set(subject, name, path, settings)
    skipped: Mapping[str, str] = {name: path for name, path in settings.sets.items() if name not in there}
    return {"parameters": sizes(subject.predictor), "skipped": dict(skipped)}


def sizes(model: Any) -> dict[str, int]:
    """How many parameters a module has, and how many of them are trained."""
    counted = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return {"total": sum(n for n, _ in counted), "trainable": sum(n for n, trained in counted if trained)}


def real_steps() -> Steps:
    """Composing, training and scoring as the command line does it."""
    from stentor import train
    from stentor.config import compose

    def composed(name: str, overrides: list[str]) -> Any:
        recipe = compose(name, overrides)
        if misfits := recipe.misfits():
            raise StentorError(problems=misfits)
        return recipe

    return Steps(composed, train.fit, train.resume, _evaluate)


def main(words: list[str]) -> int:
    """Exit code 0 when done, 1 when failed, 130 when stopped."""
    outcome = run(Path(words[0]), real_steps())
    return {"done": 0, "stopped": 130}.get(outcome["status"], 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
