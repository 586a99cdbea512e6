"""Recognisers of other plugins as judges, by their registered names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_tts.judges.blocks import Wave
from stentor_tts.judges.marks import mark

_TOGETHER = 4
_MOST = 4096
_HEARD: dict[str, str] = {}
_INSTALL = "pip install 'stentor-asr[embedded,moonshine]'"


@cache
def _loaded(name: str) -> tuple[Any, dict[str, str]]:
    if "recogniser" not in {kind.name for kind in registry().kinds()}:
        raise StentorError(f"the judge '{name}' is a recogniser, and no installed plugin brings recognisers.",
                           suggestion=f"Install one: {_INSTALL}")  # fmt: skip
    built = registry().build("recogniser", name)
    return built, built.load_pretrained()


def judge(name: str) -> Any:
    """The one recogniser `name` of this process, with its weights; the same for all who ask.

    Raises:
        StentorError: that says which package to install, where no plugin brings it or its weights are absent.
    """
    return _loaded(name)[0]


def provenance(name: str) -> dict[str, str]:
    """Where the weights of judge `name` come from; reads them."""
    return _loaded(name)[1]


def heard(name: str, waves: Sequence[Wave]) -> Iterator[str]:
    """What judge `name` hears in waveforms float32 [N_i] at its own sample rate, one after the other.

    What it heard last in this process is kept: several metrics ask about the same waveforms.
    """
    for start in range(0, len(waves), _TOGETHER):
        marks = [mark(wave, name) for wave in waves[start : start + _TOGETHER]]
        new = {one: wave for one, wave in zip(marks, waves[start:], strict=False) if one not in _HEARD}
        _HEARD.update(zip(new, _hear(name, list(new.values())), strict=True))
        yield from [_HEARD[one] for one in marks]
        while len(_HEARD) > _MOST:
            _HEARD.pop(next(iter(_HEARD)))


def _hear(name: str, waves: Sequence[Wave]) -> list[str]:
    if not waves:
        return []
    lengths = np.array([len(wave) for wave in waves])
    padded = np.stack([np.pad(wave, (0, int(lengths.max()) - len(wave))) for wave in waves])
    found: list[str] = judge(name).predict({"audio": padded, "audio_lengths": lengths})
    return found
