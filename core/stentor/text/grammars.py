"""NVIDIA's text-processing grammars (Zhang et al. 2021, arXiv 2104.05055), built once and kept on disk.

Building takes between ten seconds and a minute for a language and a direction, loading well under a second.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from stentor.errors import StentorError
from stentor.extras import require

Direction = Literal["written", "spoken"]
_PLACES = {
    "written": ("nemo_text_processing.inverse_text_normalization.inverse_normalize", "InverseNormalizer", "itn"),
    "spoken": ("nemo_text_processing.text_normalization.normalize", "Normalizer", "tn"),
}
_CASES = {"written": "lower_cased", "spoken": "cased"}


@cache
def grammar(direction: Direction, language: str) -> Any:
    """The normaliser of the package for a language, from the cache where it was built before.

    Args:
        direction: ``written`` leads from spoken to written form, ``spoken`` the other way.
        language: code such as ``en``.

    Raises:
        StentorError: when the package is not installed, or has no such grammar.
    """
    module, name, package = _PLACES[direction]
    build = getattr(require(module, "text"), name)
    logging.getLogger("NeMo-text-processing").setLevel(logging.WARNING)
    place = kept() / f"{package}-{language}"
    try:
        if place.is_dir():
            return build(input_case=_CASES[direction], lang=language, cache_dir=str(place))
        return _built(build, direction, language, place)
    except (NotImplementedError, ImportError, UnboundLocalError) as cause:  # how the package says that it has none
        raise StentorError(
            f"there is no grammar for language '{language}'.", path="language", value=language
        ) from cause


def kept() -> Path:
    """The folder of the grammars that were built with the installed version."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "stentor" / "grammars" / version("nemo-text-processing")


def _built(build: Any, direction: Direction, language: str, place: Path) -> Any:
    """Built in a folder beside, which takes its name when all is there: a build cut short is not taken for one."""
    print(f"stentor: building the grammar '{direction} {language}' (up to a minute, once)", file=sys.stderr)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".building-") as folder:
        made = build(input_case=_CASES[direction], lang=language, cache_dir=folder)
        if not place.exists():
            Path(folder).rename(place)
            Path(folder).mkdir()
    return made
