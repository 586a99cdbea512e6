"""What can be evaluated: a run, or a recogniser that needs none."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from stentor.config.checking import Checker, instance
from stentor.errors import StentorError
from stentor.evaluate.listener import Listener
from stentor.evaluate.runner import Subject
from stentor.evaluate.settings import EvaluateSettings
from stentor.plugins import registry


def of_run(folder: Path, output: Path | None, changes: Mapping[str, str]) -> tuple[Subject, EvaluateSettings]:
    """The trained task of a run and its ``evaluate`` section with `changes` (``evaluate.key`` -> YAML text).

    Raises:
        StentorError: when the run cannot be loaded or a change does not fit.
    """
    from stentor.train import load

    recipe, task = load(folder)
    settings = settings_of(recipe.config["evaluate"], changes)
    identity = {key: value for key, value in recipe.config.items() if key not in ("data", "train", "evaluate", "seed")}
    return Subject(task, output or folder, recipe.name or folder.name, task.metrics, identity), settings


def of_recogniser(name: str, output: Path | None, changes: Mapping[str, str]) -> tuple[Subject, EvaluateSettings]:
    """An embedded recogniser, by its registered name, with its pretrained weights."""
    if "recogniser" not in {kind.name for kind in registry().kinds()}:
        raise StentorError("no installed plugin brings recognisers.", suggestion="Install one: pip install stentor-asr")
    recogniser = registry().build("recogniser", name)
    source = recogniser.load_pretrained()
    folder = output or Path("runs") / f"recogniser-{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"
    return Subject(Listener(recogniser), folder, name, identity=source, provenance=source), settings_of({}, changes)


def settings_of(section: Mapping[str, Any], changes: Mapping[str, str]) -> EvaluateSettings:
    """The checked settings of a section after `changes`.

    Raises:
        StentorError: with every unknown key and wrong type.
    """
    config = copy.deepcopy(dict(section))
    for path, text in changes.items():
        *parents, last = path.split(".")[1:]
        place = config
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = yaml.safe_load(text)
    checker = Checker(registry())
    found = checker.value(config, EvaluateSettings, "evaluate")
    if checker.problems:
        raise StentorError(problems=checker.problems)
    settings: EvaluateSettings = instance(EvaluateSettings, found)
    return settings
