"""Runs a corpus and writes what can be trained on: manifests, the quarantine and a summary."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stentor.data import quarantine, split, verify
from stentor.data.atomic import replacing, writing
from stentor.data.journal import Journal
from stentor.data.manifest import Writer
from stentor.data.summary import Summary
from stentor.data.utterance import Utterance
from stentor.errors import Problem, StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected

AUDIO = "audio"
"""The folder below the corpus folder for audio that a corpus makes or unpacks."""
SUMMARY = "summary.json"
QUARANTINE = "quarantine.jsonl"
_JOURNAL = ".verified.jsonl"


@dataclass(frozen=True)
class PrepareSettings:
    """How to prepare.

    Attributes:
        decode: whether all audio is decoded, not just its header read.
        jobs: files that are examined at a time.
        shares: split name -> share of the hours to set apart; empty keeps the corpus's own splits.
        split_by: what stays together when splitting.
        seed: of the splitting.
        progress: whether a bar is shown.
    """

    decode: bool = True
    jobs: int = 2
    shares: Mapping[str, float] = field(default_factory=dict)
    split_by: split.By = "auto"
    seed: int = 0
    progress: bool = True


def prepare(
    corpus: Corpus, folder: Path, settings: PrepareSettings | None = None, about: Mapping[str, Any] | None = None
) -> Summary:
    """Check every item of `corpus` and write ``SPLIT.jsonl.gz``, ``quarantine.jsonl`` and ``summary.json``.

    Bad items are quarantined, never fatal. A run that was killed is started again with the same words and examines only
    what it had not; the result is the same.

    Args:
        corpus: what to import or make.
        folder: where to write; made if need be.
        settings: how.
        about: name, options and versions of the corpus, for the summary.

    Raises:
        StentorError: when nothing can be used, or the disk cannot take the result.
    """
    settings = settings or PrepareSettings()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    rejected: list[Rejected] = []
    summary = Summary(dict(about or {}))
    with ExitStack() as names:  # the manifests take their names last, when all else is on the disk
        with Journal(folder / _JOURNAL) as journal:
            found = _good(_examined(corpus, journal, settings), rejected)
            _write(folder, _placed(found, settings), summary, names)
        summary.reject(rejected)
        quarantine.write(folder / QUARANTINE, rejected)
        if not summary.splits:
            raise _nothing(folder, rejected)
        _remove_stale(folder, summary)
        with replacing(folder / SUMMARY) as temporary:
            temporary.write_text(json.dumps(summary.as_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return summary


def _examined(
    corpus: Corpus, journal: Journal, settings: PrepareSettings
) -> Iterator[tuple[Item, verify.Examined] | Rejected]:
    """Examine items in threads (decoding runs outside the interpreter's lock), in the corpus's order."""
    waiting: deque[tuple[Item, str, Future[verify.Examined]] | Rejected] = deque()
    items = tqdm(corpus.items(), total=corpus.total(), unit=" items", desc="prepare", disable=not settings.progress)
    with ThreadPoolExecutor(max(1, settings.jobs)) as pool:
        try:
            for item in items:
                waiting.append(item if isinstance(item, Rejected) else _begin(item, pool, journal, settings.decode))
                if len(waiting) > 8 * settings.jobs:
                    yield _end(waiting.popleft(), journal)
            while waiting:
                yield _end(waiting.popleft(), journal)
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(
    item: Item, pool: ThreadPoolExecutor, journal: Journal, decode: bool
) -> tuple[Item, str, Future[verify.Examined]]:
    key = verify.key(item, decode)
    known = journal.get(key)
    if known is None:
        return item, key, pool.submit(verify.examine, item, decode)
    done: Future[verify.Examined] = Future()
    done.set_result(known)
    return item, key, done


def _end(
    begun: tuple[Item, str, Future[verify.Examined]] | Rejected, journal: Journal
) -> tuple[Item, verify.Examined] | Rejected:
    if isinstance(begun, Rejected):
        return begun
    item, key, future = begun
    found = future.result()
    if journal.get(key) is None:
        journal.add(key, found)
    return item, found


def _good(
    examined: Iterable[tuple[Item, verify.Examined] | Rejected], rejected: list[Rejected]
) -> Iterator[tuple[str, Utterance]]:
    """(split, utterance) of what can be used; the rest goes to `rejected`."""
    seen: set[str] = set()
    for one in examined:
        done = one if isinstance(one, Rejected) else verify.finish(*one)
        if isinstance(one, Rejected) or isinstance(done, Rejected):
            rejected.append(done)  # type: ignore[arg-type]
        elif done.id in seen:
            rejected.append(Rejected(f"{done.id}: {done.audio}", "duplicate id: another item has it already"))
        elif not split.NAME.fullmatch(one[0].split):
            rejected.append(Rejected(f"{done.id}: {done.audio}", f"the split's name is no file name: {one[0].split!r}"))
        else:
            seen.add(done.id)
            yield one[0].split, done


def _placed(found: Iterator[tuple[str, Utterance]], settings: PrepareSettings) -> Iterable[tuple[str, Utterance]]:
    """Set validation and test data apart, out of what the corpus calls ``all`` or ``train``."""
    if not settings.shares:
        return found
    listed = list(found)
    own = {name for name, _ in listed} & settings.shares.keys()
    if own:
        raise StentorError(f"the corpus has a split '{min(own)}' already.", path="--split", value=min(own))
    open_ = [utterance for name, utterance in listed if name in ("all", split.REST)]
    names = iter(split.assign(open_, settings.shares, settings.split_by, settings.seed) if open_ else ())
    return [(next(names) if name in ("all", split.REST) else name, utterance) for name, utterance in listed]


def _write(folder: Path, placed: Iterable[tuple[str, Utterance]], summary: Summary, names: ExitStack) -> None:
    """Bring all manifests to the disk; they take their names when `names` closes."""
    writers: dict[str, Writer] = {}
    for name, utterance in placed:
        if name not in writers:
            writers[name] = names.enter_context(Writer(folder / f"{name}.jsonl.gz"))
        writers[name].write(utterance)
        summary.add(name, utterance)
    for writer in writers.values():
        writer.close()


def _nothing(folder: Path, rejected: list[Rejected]) -> StentorError:
    if not rejected:
        return StentorError("the corpus is empty: no audio was found.", path=str(folder))
    first = [Problem(one.reason + ".", one.where) for one in rejected[:3]]
    told = f"none of the {len(rejected)} items can be used; see {QUARANTINE} there, the first reasons follow."
    return StentorError(told, path=str(folder), problems=first)


def _remove_stale(folder: Path, summary: Summary) -> None:
    """Remove manifests that an earlier run with other settings wrote and this one did not."""
    try:
        earlier = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))["splits"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name in set(earlier) - set(summary.splits):
        if split.NAME.fullmatch(name):
            with writing(folder):
                (folder / f"{name}.jsonl.gz").unlink(missing_ok=True)
