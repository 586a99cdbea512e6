"""Text files that go with audio: found words, line by line, with what cannot be read put aside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stentor.data.audio import SUFFIXES
from stentor.interfaces.corpus import Rejected


def audio_files(folder: Path) -> list[Path]:
    """All files below `folder` that are called like audio, in a fixed order; hidden ones are passed over."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def lines(path: Path) -> Iterator[tuple[int, str] | Rejected]:
    """Numbered lines of a UTF-8 text file that are not blank; a line that is not UTF-8 is rejected."""
    try:
        content = path.read_bytes()
    except OSError as cause:
        yield Rejected(str(path), f"the text cannot be read: {cause.strerror}")
        return
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError:
            yield Rejected(f"{path}:{number}", "the text is not UTF-8")
            continue
        if text:
            yield number, text


def table(path: Path, *, spaces: bool = False) -> Iterator[tuple[str, str] | Rejected]:
    """Lines of a name and a text; a line with a name alone is rejected.

    Args:
        path: the file.
        spaces: whether white space stands between the two; else a tab, ``|`` or white space, whichever is found first
            in this order.
    """
    for line in lines(path):
        if isinstance(line, Rejected):
            yield line
            continue
        number, words = line
        separator = None if spaces else next((mark for mark in "\t|" if mark in words), None)
        key, text = (*(part.strip() for part in words.split(separator, 1)), "")[:2]
        yield (key, text) if text else Rejected(f"{path}:{number}", f"there is no text after the name: {key[:80]!r}")


def whole(path: Path) -> str | Rejected:
    """The text of a file that holds one transcript."""
    found = list(lines(path))
    words = [line[1] for line in found if not isinstance(line, Rejected)]
    bad = [line for line in found if isinstance(line, Rejected)]
    if bad:
        return bad[0]
    return " ".join(words) if words else Rejected(str(path), "the text is empty")
