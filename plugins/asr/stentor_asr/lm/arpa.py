"""N-gram models in ARPA files, plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stentor.data import jsonl
from stentor.data.atomic import replacing
from stentor.errors import StentorError

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
_NO_PROBABILITY = -99.0


@dataclass(frozen=True)
class Arpa:
    """A backoff model; one array per order.

    Attributes:
        words: by id.
        grams: int64 [N, order] word ids.
        logs: log10 of the probability of the last word behind the others [N].
        backoffs: log10 of the weight of the lower order behind all of them [N]; 0 where the file has none.
    """

    words: list[str]
    grams: list[np.ndarray]
    logs: list[np.ndarray]
    backoffs: list[np.ndarray]

    @property
    def order(self) -> int:
        return len(self.grams)


def read(path: str | Path) -> Arpa:
    """Read an ARPA file, gzipped or not.

    Fields are apart where ASCII has white space: a word may hold other kinds. ``<UNK>`` is read as ``<unk>``.

    Raises:
        StentorError: naming the file and what is wrong with it.
    """
    try:
        with jsonl.opened(path) as file:
            return _parsed(iter(file))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as cause:
        raise StentorError(f"the language model cannot be read: {cause}.", path=str(path)) from cause
    except (ValueError, LookupError, StopIteration) as cause:
        raise StentorError(f"this is no ARPA file: {cause or 'it ends too early'}.", path=str(path)) from cause


def _parsed(lines: Iterator[bytes]) -> Arpa:
    sizes = _sizes(lines)
    if not sizes:
        raise ValueError("it has no n-grams")
    words: dict[bytes, int] = {}
    found: tuple[list[np.ndarray], ...] = ([], [], [])
    for order, size in enumerate(sizes, 1):
        for section, values in zip(found, _section(lines, order, size, words), strict=True):
            section.append(values)
    spelled = [word.decode() for word in words]
    if END not in spelled:
        raise ValueError(f"it ends no sentence, as it has no '{END}'")
    return Arpa([UNKNOWN if word == "<UNK>" else word for word in spelled], *found)


def _sizes(lines: Iterator[bytes]) -> list[int]:
    for line in lines:
        if line.strip() == b"\\data\\":
            break
    else:
        raise ValueError("it has no \\data\\ section")
    sizes = []
    for line in lines:
        if line.startswith(b"ngram "):
            sizes.append(int(line.split(b"=")[1]))
        elif line.startswith(b"\\"):
            return sizes
    raise ValueError("it ends before its n-grams")


def _section(
    lines: Iterator[bytes], order: int, size: int, words: dict[bytes, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The n-grams of one order, its heading read already; reads the next heading."""
    grams, logs, backoffs = np.empty((size, order), np.int64), np.empty(size), np.zeros(size)
    count = 0
    for line in lines:
        fields = line.split()
        if not fields:
            continue
        if line.startswith(b"\\"):
            break
        if len(fields) not in (order + 1, order + 2) or count == size:
            raise ValueError(f"{_told(line)} does not fit among {size} {order}-grams")
        spelled = fields[1 : order + 1]
        if order == 1:
            words.setdefault(spelled[0], len(words))
        if not words.keys() >= set(spelled):
            raise ValueError(f"{_told(line)} has a word that is no 1-gram")
        grams[count] = [words[word] for word in spelled]
        logs[count] = float(fields[0])
        backoffs[count] = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
        count += 1
    if count != size:
        raise ValueError(f"it has {count} {order}-grams, and announces {size}")
    return grams, logs, backoffs


def _told(line: bytes) -> str:
    return f"line '{line.strip().decode(errors='replace')[:60]}'"


def write(path: Path, model: Arpa) -> None:
    """Write an ARPA file; gzipped if it is named ``.gz``.

    Raises:
        StentorError: when it cannot be written.
    """
    with replacing(path) as temporary:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(temporary, "wt", encoding="utf-8") as file:
            file.write("\\data\\\n")
            file.writelines(f"ngram {order}={len(logs)}\n" for order, logs in enumerate(model.logs, 1))
            for order in range(1, model.order + 1):
                file.write(f"\n\\{order}-grams:\n")
                file.writelines(_lines(model, order))
            file.write("\n\\end\\\n")


def _lines(model: Arpa, order: int) -> Iterator[str]:
    columns = [[model.words[i] for i in column] for column in model.grams[order - 1].T.tolist()]
    logs, backoffs = model.logs[order - 1].tolist(), model.backoffs[order - 1].tolist()
    last = order == model.order
    for log, backoff, *spelled in zip(logs, backoffs, *columns, strict=True):
        end = "" if last or spelled[-1] == END else f"\t{backoff:.7g}"
        yield f"{max(log, _NO_PROBABILITY):.7g}\t{' '.join(spelled)}{end}\n"
