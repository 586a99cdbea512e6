"""Which files to read, and where each transcript goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from stentor.data import audio
from stentor.errors import StentorError


def found(given: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Every audio file with its path relative to what was named; folders are searched to the bottom, in order of name.

    Raises:
        StentorError: when a folder holds no audio.
    """
    files: list[tuple[Path, Path]] = []
    for path in given:
        if not path.is_dir():
            files.append((path, Path(path.name)))
            continue
        inside = sorted(
            file
            for file in path.rglob("*")
            if file.suffix.lower() in audio.SUFFIXES and file.is_file() and not file.name.startswith(".")
        )
        if not inside:
            raise StentorError("holds no audio file.", path=str(path), suggestion=None,
                               options=sorted(audio.SUFFIXES))  # fmt: skip
        files += [(file, file.relative_to(path)) for file in inside]
    return files


def targets(files: Sequence[tuple[Path, Path]], output: Path, suffix: str, *, one_file: bool) -> list[Path]:
    """Where the transcript of each file goes.

    Args:
        files: from `found`.
        output: a folder, or the file itself.
        suffix: of the format, e.g. ``.srt``.
        one_file: a single file was named, so that `output` may be the transcript's own name.
    """
    if one_file and not output.is_dir() and output.suffix:
        return [output]
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
