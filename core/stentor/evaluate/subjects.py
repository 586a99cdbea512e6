"""What can be evaluated: a run, or a recogniser that needs none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stentor.config import overrides, schema
from stentor.config.checking import Checker, instance
from stentor.config.interpolation import Resolver
from stentor.errors import StentorError
from stentor.evaluate.listener import Listener
from stentor.evaluate.runner import Subject
from stentor.evaluate.settings import EvaluateSettings
from stentor.plugins import registry


def of_run(
    folder: Path,
    output: Path | None,
    changes: Sequence[str],
    swaps: Mapping[str, str] | None = None,
    decoders: Sequence[str] = (),
) -> tuple[Subject, EvaluateSettings]:
    """The trained task of a run and its ``evaluate`` section with `changes` (``evaluate.key=value``).

    Args:
        folder: of the run.
        output: where results go; default: the run folder.
        changes: of the settings.
        swaps: glob over tensor names -> run to take these tensors from instead.
        decoders: changes of the run's decoder, e.g. ``decoder=ctc-beam``.

    Raises:
        StentorError: when the run cannot be loaded or a change does not fit.
    """
    from stentor.train import load

    recipe, task = load(folder, swaps=swaps, changes=decoders)
    settings = settings_of(recipe.config["evaluate"], changes)
    identity = {key: value for key, value in recipe.config.items() if key not in ("data", "train", "evaluate", "seed")}
    identity |= {f"{role} files": files for role in recipe.decoders if (files := _digests(recipe.config[role]))}
    name = recipe.name or folder.name
    return Subject(task, output or folder, name, task.metrics, identity, swaps=swaps or {}), settings


def _digests(section: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of the files that a decoder's settings name: what it says depends on them (a language model)."""
    named = {key: Path(value) for key, value in section.items() if isinstance(value, str) and value}
    return {key: _digest(path) for key, path in named.items() if path.is_file()}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_recogniser(name: str, output: Path | None, changes: Sequence[str]) -> tuple[Subject, EvaluateSettings]:
    """An embedded recogniser, by its registered name, with its pretrained weights, on the device of the settings."""
    if "recogniser" not in {kind.name for kind in registry().kinds()}:
        raise StentorError("no installed plugin brings recognisers.", suggestion="Install one: pip install stentor-asr")
    settings = settings_of({}, changes)
    takes = schema.of(registry().get("recogniser", name)).field("device")
    recogniser = registry().build("recogniser", name, **({"device": settings.device} if takes else {}))
    source = recogniser.load_pretrained()
    folder = output or Path("runs") / f"recogniser-{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"
    return Subject(Listener(recogniser), folder, name, identity=source, provenance=source), settings


def settings_of(section: Mapping[str, Any], changes: Sequence[str]) -> EvaluateSettings:
    """The checked settings of a section after `changes`.

    Raises:
        StentorError: with every unknown key and wrong type.
    """
    given, problems = overrides.parse(changes)
    config = OmegaConf.create({"evaluate": dict(section)})
    problems += [problem for one in given if (problem := overrides.apply(config, one))]
    plain: Any = OmegaConf.to_container(config, resolve=False)
    resolver = Resolver(plain)
    checker = Checker(registry())
    found = checker.value(resolver.resolve().get("evaluate", {}), EvaluateSettings, "evaluate")
    if problems := [*problems, *resolver.problems, *checker.problems]:
        raise StentorError(problems=problems)
    settings: EvaluateSettings = instance(EvaluateSettings, found)
    return settings
