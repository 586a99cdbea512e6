"""Mining a pool: fit the ranker, judge every clip, choose by hours, write what a labelling team needs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stentor import __version__
from stentor.config import ranges
from stentor.data import manifest, quarantine
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.journal import write_json
from stentor.interfaces.corpus import Rejected
from stentor_asr.mining import labels, pool, shards
from stentor_asr.mining.judging import GUARD
from stentor_asr.mining.pool import Clip
from stentor_asr.mining.rankers import Ranker
from stentor_asr.mining.selection import Choice, Judged, choose
from stentor_asr.mining.shards import Shard

SELECTED, SUMMARY, REPORT = "selected.jsonl.gz", "summary.json", "report.html"
_SHARDS = ".shards"
Executor = Callable[[Sequence[Shard]], Iterator[Shard]]


@dataclass(frozen=True)
class MineSettings:
    """How to mine.

    Attributes:
        hours: budget of audio to be labelled (h).
        drawn: share of it that is drawn at random from the rest of the pool.
        guard: whether garbage is left out.
        seed: of the random draw.
        device: where to compute.
        progress: whether a bar is shown.
    """

    hours: float
    drawn: float = 0.0
    guard: bool = True
    seed: int = 0
    device: str = "auto"
    progress: bool = True

    def __post_init__(self) -> None:
        ranges.check(self, {"hours": ranges.above_zero(self.hours), "drawn": ranges.share(self.drawn)})


@dataclass(frozen=True)
class Job:
    """What to mine with what.

    Attributes:
        run: folder of the trained recogniser.
        pool: manifest.
        ranker: unfitted.
        name: what it is called.
        labelled: manifest of the domain's labelled set, for rankers that learn.
    """

    run: Path
    pool: Path
    ranker: Ranker
    name: str
    labelled: Path | None = None


@dataclass(frozen=True)
class Mined:
    """What came of it.

    Attributes:
        chosen: the selection in order.
        judged: every utterance of the pool that could be listened to.
        rejected: what of the pool could not be used.
        unlearnt: what of the labelled set could not be used.
        folder: where it is written.
    """

    chosen: list[Choice]
    judged: list[Judged]
    rejected: list[Rejected]
    unlearnt: list[Rejected]
    folder: Path


def on_this_machine(given: Sequence[Shard]) -> Iterator[Shard]:
    """One process, this one."""
    return shards.here(given, 1)


def mine(job: Job, folder: Path, settings: MineSettings, execute: Executor = on_this_machine) -> Mined:
    """Choose what to label and write ``selected.jsonl.gz``, ``summary.json`` and ``quarantine.jsonl``.

    The pool's transcripts, if it has any, are dropped as its manifest is read; neither ranker nor result sees them.
    What was judged before is not judged again, so that a mining that was killed goes on with the same words.

    Args:
        job: recogniser, pool and ranker.
        folder: where to write.
        settings: how.
        execute: carries out shards, e.g. `stentor_asr.mining.shards.here`.

    Raises:
        StentorError: when the ranker learns and there is no labelled set, or run or manifests cannot be used.
    """
    if job.ranker.learns and job.labelled is None:
        told = f"ranker '{job.name}' learns from a labelled set of the domain"
        raise StentorError(f"{told}; give one with --labelled, or take one that does not learn, e.g. entropy.",
                           path="--labelled")  # fmt: skip
    rejected: list[Rejected] = []
    unlearnt: list[Rejected] = []
    clips = pool.read(job.pool, rejected.extend)
    identity = _fitted(job, settings.device, unlearnt)
    planned = shards.plan(
        clips, identity, run=str(job.run), ranker=job.ranker, folder=folder / _SHARDS, device=settings.device
    )
    _judge(planned, execute, progress=settings.progress)
    judged: list[Judged] = []
    for shard in planned:
        found, bad = shards.read(shard.target)
        judged += found
        rejected += bad
    if not judged:
        told = f"none of its clips could be listened to; the first reason: {rejected[0].reason}"
        raise StentorError(told, path=str(job.pool))
    chosen = choose(judged, settings.hours * 3600, guard=settings.guard, drawn=settings.drawn, seed=settings.seed)
    mined = Mined(chosen, judged, rejected, unlearnt, folder)
    _write(mined, {clip.id: clip for clip in clips}, job.name)
    write_json(folder / SUMMARY, _summary(job, settings, mined))
    _tidy(folder / _SHARDS, planned)
    return mined


def _fitted(job: Job, device: str, unlearnt: list[Rejected]) -> str:
    """Fit the ranker if it learns; what decides its verdicts, as text."""
    from stentor import train
    from stentor.model.device import choose_device
    from stentor.train import weights

    recipe, task = train.load(job.run)
    identity = [__version__, weights.combined(weights.digests(task)), job.name, asdict(GUARD), _options(job.ranker)]
    if job.ranker.learns and job.labelled is not None:
        normaliser = recipe.settings("evaluate").normaliser
        identity += [manifest.fingerprint(job.labelled), normaliser]
        job.ranker.fit(labels.read(job.labelled, task.to(choose_device(device)), unlearnt.extend, normaliser))
    return json.dumps(identity, sort_keys=True, default=str)


def _options(ranker: Ranker) -> dict[str, Any]:
    return {key: value for key, value in vars(ranker).items() if not key.startswith("_")}


def _judge(planned: Sequence[Shard], execute: Executor, *, progress: bool) -> None:
    left = [shard for shard in planned if not shard.done]
    total, waiting = (sum(shard.seconds for shard in some) for some in (planned, left))
    form = "{l_bar}{bar}| {n:.0f}/{total:.0f} s [{elapsed}<{remaining}]"
    with tqdm(total=total, initial=total - waiting, desc="judging", disable=not progress, bar_format=form) as bar:
        for shard in execute(left):
            bar.update(shard.seconds)


def _write(mined: Mined, clips: dict[str, Clip], name: str) -> None:
    rows = [_row(choice, place, clips[choice.judged.id], name) for place, choice in enumerate(mined.chosen, 1)]
    manifest.save(mined.folder / SELECTED, rows)
    garbage = [Rejected(one.id, f"cannot be transcribed: {', '.join(one.flags)}") for one in mined.judged if one.flags]
    quarantine.write(mined.folder / "quarantine.jsonl", [*mined.rejected, *mined.unlearnt, *garbage])


def _row(choice: Choice, place: int, clip: Clip, name: str) -> Utterance:
    """The clip with the reasons for its choice under ``mining``, ready to be given a text."""
    one = choice.judged
    told = {
        "place": place,
        "rank": choice.rank,
        "ranker": "random" if choice.drawn else name,
        "expected_gain": one.hardness,
        "confidence": one.confidence,
        "entropy": one.entropy,
        "attended": [list(stretch) for stretch in one.attended],
        "hypothesis": one.hypothesis,
        "quality": one.quality,
        "flags": list(one.flags),
    }
    row = clip.utterance()
    return Utterance(row.id, row.audio, row.duration, row.sample_rate, row.start, frames=row.frames,
                     channels=row.channels, channel=row.channel, custom={"mining": told})  # fmt: skip


def _summary(job: Job, settings: MineSettings, mined: Mined) -> dict[str, Any]:
    garbage = [one for one in mined.judged if one.flags]
    names = "\n".join(choice.judged.id for choice in mined.chosen)
    return {
        "run": str(job.run),
        "pool": {"manifest": str(job.pool), **_size(mined.judged), "unusable": len(mined.rejected)},
        "labelled": str(job.labelled) if job.labelled else None,
        "ranker": job.name,
        "settings": asdict(settings),
        "selected": {"manifest": SELECTED, **_size([choice.judged for choice in mined.chosen]),
                     "sha256": hashlib.sha256(names.encode()).hexdigest()},
        "garbage": {**_size(garbage), "flags": dict(Counter(flag for one in garbage for flag in one.flags)),
                    "guard": asdict(GUARD)},
    }  # fmt: skip


def _size(judged: Sequence[Judged]) -> dict[str, float]:
    return {"utterances": len(judged), "hours": round(sum(one.seconds for one in judged) / 3600, 4)}


def _tidy(folder: Path, planned: Sequence[Shard]) -> None:
    """Remove results of shards that another mining into the same folder left."""
    wanted = {Path(shard.target).name for shard in planned}
    for file in folder.glob("*.jsonl"):
        if file.name not in wanted:
            file.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        shutil.rmtree(folder, ignore_errors=True)
