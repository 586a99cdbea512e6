"""The data engine from texts to a corpus: it makes and judges every take, then writes what was kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stentor import __version__, parallel
from stentor.data.atomic import writing
from stentor.data.prepare import AUDIO, SUMMARY, PrepareSettings, prepare
from stentor.data.summary import Summary
from stentor.evaluate.journal import write_json
from stentor.interfaces.corpus import Corpus, Item, Rejected
from stentor_tts.engine import work
from stentor_tts.engine.funnel import Funnel
from stentor_tts.engine.journal import Journal
from stentor_tts.engine.plan import Plan, draw_up
from stentor_tts.engine.settings import EngineSettings, as_plain
from stentor_tts.engine.texts import Job
from stentor_tts.engine.work import Task

Executor = Callable[[Iterable[Task]], Iterator[tuple[Task, list[dict[str, Any]]]]]
TAKES = ".takes.jsonl"
"""The journal, in the corpus's folder."""


def here(jobs: int) -> Executor:
    """So many processes of this machine."""
    return partial(parallel.here, work.carry_out, processes=jobs)


def on_ray(address: str) -> Executor:
    """A Ray cluster; the folder must lie under the same path on all its machines."""
    return partial(parallel.on_ray, work.carry_out, address=address, distribution="stentor-tts")


def synthesise(
    sources: Sequence[str], folder: Path, settings: EngineSettings, execute: Executor, *, progress: bool = True
) -> tuple[Summary, Funnel]:
    """Write a corpus of what the teachers say of the texts and the filters keep.

    What was made and judged before is not made again: a run that was killed is started again with the same words, loses
    the groups that were being judged, and ends with the same files.

    Args:
        sources: files with a text a line, manifests, ``-`` for standard input.
        folder: where to write ``SPLIT.jsonl.gz``, ``quarantine.jsonl``, ``summary.json`` and audio.
        settings: how.
        execute: carries out tasks: `here` or `on_ray`.
        progress: whether bars are shown.

    Returns:
        What the corpus holds, and what became of the takes.

    Raises:
        StentorError: for sources, voices or filters that cannot be used, or when nothing is kept.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    sections = json.dumps(settings.filters)
    judges = zip(settings.filters, work.filters(sections), strict=True)
    provenance = {section["name"]: source for section, one in judges if (source := one.load_pretrained())}
    audio = str((folder / AUDIO).resolve())
    for voice in dict.fromkeys(settings.voices):
        work.example(voice, audio)
    plan, funnel = draw_up(sources, folder, settings), Funnel(settings.filters)
    tasks = partial(_tasks, plan, settings.group, audio, sections)
    about = {"corpus": "stentor synthesise", "sources": list(sources), "settings": as_plain(settings)}
    told = {**about, "judges": provenance, "versions": {"stentor": __version__}}
    with Journal(folder / TAKES) as journal:
        _make(tasks, plan.takes, journal, execute, progress=progress)
        kept = _Kept(tasks, plan.takes, journal, funnel, settings.language)
        summary = prepare(kept, folder, PrepareSettings(progress=progress), told)
    write_json(folder / SUMMARY, {**json.loads((folder / SUMMARY).read_text("utf-8")), "engine": funnel.as_dict()})
    return summary, funnel


Tasks = Callable[[], Iterator[Task | Rejected]]


def _tasks(plan: Plan, size: int, folder: str, filters: str) -> Iterator[Task | Rejected]:
    """Groups of takes in the plan's order, each with what could not be said before it."""
    waiting: list[Job] = []
    for job in plan:
        if isinstance(job, Rejected):
            yield job
            continue
        waiting.append(job)
        if len(waiting) == size:
            yield Task(tuple(waiting), folder, filters)
            waiting = []
    if waiting:
        yield Task(tuple(waiting), folder, filters)


def _make(tasks: Tasks, total: int, journal: Journal, execute: Executor, *, progress: bool) -> None:
    waiting = (task for task in tasks() if isinstance(task, Task) and task.key not in journal)
    done = sum(len(task.jobs) for task in tasks() if isinstance(task, Task) and task.key in journal)
    with tqdm(total=total, initial=done, desc="synthesise", unit=" takes", disable=not progress) as bar:
        for finished, told in execute(waiting):
            journal.add(finished.key, told)
            bar.update(len(told))


class _Kept(Corpus):
    """What the journal tells of a plan, in the plan's order, counted as it goes by."""

    needs_source = False

    def __init__(self, tasks: Tasks, takes: int, journal: Journal, funnel: Funnel, language: str) -> None:
        self.tasks, self.takes, self.journal, self.funnel, self.language = tasks, takes, journal, funnel, language

    def total(self) -> int:
        return self.takes

    def items(self) -> Iterator[Item | Rejected]:
        for task in self.tasks():
            if isinstance(task, Rejected):
                self.funnel.texts[task.reason.partition(": ")[2].partition(":")[0]] += 1
                yield task
            else:
                yield from (self._item(told, Path(task.folder)) for told in self.journal.get(task.key))

    def _item(self, told: dict[str, Any], folder: Path) -> Item | Rejected:
        if lost := self.funnel.add(told):
            return Rejected(told["id"], f"{lost}: {told['reason']} ({told['voice']} saying '{told['text']}')")
        rewritten = {"source": told["source"]} if told["source"] != told["text"] else {}
        custom = {**told["custom"], **rewritten, "quality": told["measures"]}
        where, split = folder / told["audio"], told["split"]
        return Item(told["id"], where, told["text"], told["speaker"], self.language, split, custom=custom)
