"""Fills the template in and puts it in place, whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from stentor import __version__
from stentor.errors import StentorError
from stentor.plugins import installed

KINDS = (
    "adapter",
    "backbone",
    "codec",
    "corpus",
    "decoder",
    "drafter",
    "encoder",
    "itn",
    "metric",
    "normaliser",
    "reward",
    "task",
    "tn",
    "tokenizer",
    "vad",
    "voice",
)
"""The kinds for which there is a template."""

_WITHOUT_RECIPE = ("codec", "decoder", "drafter", "itn", "reward", "tn", "vad", "voice")
"""Kinds that no shipped task has a role for."""

_TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_plugin(name: str, kind: str, folder: Path) -> Path:
    """Write distribution ``stentor-NAME`` with one component `name` of `kind` into a new folder of `folder`.

    Returns:
        The new folder.

    Raises:
        StentorError: for a name that cannot be used, a kind without template, or a folder that exists or is read-only.
    """
    name = _checked(name.removeprefix("stentor-"), kind)
    target = folder / f"stentor-{name}"
    if target.exists() or target.is_symlink():
        raise StentorError(f"'{target}' exists already; nothing was written. Choose another name or another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".stentor-{name}-", dir=folder))
        try:
            _fill(made, name, kind)
            made.chmod(0o755)
            os.replace(made, target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as cause:
        raise StentorError(f"'{target}' cannot be written: {cause.strerror}.") from cause
    return target


def _checked(name: str, kind: str) -> str:
    if kind not in KINDS:
        raise StentorError(f"there is no template for kind '{kind}'.", value=kind, options=KINDS)
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise StentorError(f"'{name}' cannot name a plugin; a name is at most 40 lower-case letters, digits and single "
                           f"hyphens and starts with a letter, e.g. 'bird-song'.")  # fmt: skip
    plugins = installed()
    taken = [origin for origin in plugins.loaded if name == origin.plugin]
    taken += [entry.origin for entry in plugins.registry.entries(kind) if entry.name == name]
    if taken:
        raise StentorError(f"the name '{name}' is taken by {taken[0]}; choose another.")
    return name


def _fill(folder: Path, name: str, kind: str) -> None:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader([_TEMPLATES / "kinds" / kind, _TEMPLATES])
    environment = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    names = _names(name, kind)
    for template, place in _files(names["package"], kind).items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(environment.get_template(f"{template}.jinja").render(names), encoding="utf-8")


def _names(name: str, kind: str) -> dict[str, Any]:
    from stentor.testing import contract_for

    package = f"stentor_{name.replace('-', '_')}"
    words = name.split("-")
    return {
        "name": name,
        "kind": kind,
        "has_recipe": kind not in _WITHOUT_RECIPE,
        "distribution": f"stentor-{name}",
        "package": package,
        "class_name": "".join(word.capitalize() for word in words),
        "contract": contract_for(kind).__name__,
        "version": ".".join(__version__.split(".")[:2]),
    }


def _files(package: str, kind: str) -> dict[str, str]:
    """Template -> where it goes."""
    recipe = {} if kind in _WITHOUT_RECIPE else {"recipe.yaml": f"{package}/recipes/example.yaml"}
    return recipe | {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        "LICENSE": "LICENSE",
        "gitignore": ".gitignore",
        "workflow.yml": ".github/workflows/test.yml",
        "package.py": f"{package}/__init__.py",
        "hooks.py": f"{package}/hooks.py",
        "component.py": f"{package}/{kind}.py",
        "py.typed": f"{package}/py.typed",
        "test_contract.py": f"tests/test_{kind}.py",
        "test_plugin.py": "tests/test_plugin.py",
    }
