"""Which files to read, and where each transcript goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from stentor.data import audio
from stentor.errors import StentorError
from stentor_asr.transcribe.outputs import SUFFIXES

_FILES = {*map(str.lower, SUFFIXES.values()), *audio.SUFFIXES}


def found(given: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Every audio file with its path relative to what was named; folders are searched to the bottom, in order of name.

    A file that was named twice is there once.

    Raises:
        StentorError: when a folder holds no audio.
    """
    files: dict[str, tuple[Path, Path]] = {}
    for path in given:
        if not path.is_dir():
            files.setdefault(os.path.realpath(path), (path, Path(path.name)))
            continue
        inside = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in audio.SUFFIXES and file.is_file() and not file.name.startswith(".")
        )
        if not inside:
            raise StentorError("holds no audio file.", path=str(path), suggestion=None,
                               options=sorted(audio.SUFFIXES))  # fmt: skip
        for file in inside:
            files.setdefault(os.path.realpath(file), (file, file.relative_to(path)))
    return list(files.values())


def targets(files: Sequence[tuple[Path, Path]], output: Path, suffix: str, *, one_file: bool) -> list[Path]:
    """Where the transcript of each file goes.

    Args:
        files: from `found`.
        output: a folder, or the file itself.
        suffix: of the format, e.g. ``.srt``.
        one_file: a single file was named, so that `output` may be the transcript's own name.

    Raises:
        StentorError: when `output` is named like a file and the transcripts are to be several.
    """
    if one_file and not output.is_dir() and output.suffix:
        return [output]
    if output.suffix.lower() in _FILES and not output.is_dir():
        raise StentorError("is named like a file; the transcripts of several files need a folder.", path=str(output))
    taken: set[Path] = set()
    places = []
    for _, relative in files:
        place, count = output / relative.with_suffix(suffix), 1
        if place in taken:
            place = output / relative.with_name(relative.name + suffix)
        while place in taken:
            count += 1
            place = output / relative.with_name(f"{relative.stem}-{count}{suffix}")
        taken.add(place)
        places.append(place)
    return places


def check_free(targets: Iterable[Path], recordings: Iterable[Path], *, overwrite: bool) -> None:
    """Refuse to write over what the user has.

    Args:
        targets: where transcripts go.
        recordings: what is transcribed; never written over.
        overwrite: other files may be written over.

    Raises:
        StentorError: naming the first target that is a recording, or else that exists.
    """
    there = [target for target in targets if target.exists()]
    heard = {_identity(path) for path in recordings if path.exists()}
    for target in there:
        if _identity(target) in heard:
            raise StentorError("is a recording to transcribe; its transcript must go elsewhere.", path=str(target))
    if there and not overwrite:
        more = f" (and so are {len(there) - 1} more)" if len(there) > 1 else ""
        raise StentorError(f"is there already{more}; --force writes over it, --resume leaves it as it is.",
                           path=str(there[0]))  # fmt: skip


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino
