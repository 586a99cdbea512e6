"""From what was heard to what a selection needs: verdicts, reasons and flags as plain data."""

from __future__ import annotations

from collections.abc import Sequence

from stentor_asr.mining.hearing import Heard
from stentor_asr.mining.quality import Guard
from stentor_asr.mining.rankers import Ranker, Verdict
from stentor_asr.mining.selection import Judged, attended

GUARD = Guard()


def judged(ranker: Ranker, heard: Sequence[Heard]) -> list[Judged]:
    """The verdict of a fitted ranker on each utterance, with its reasons."""
    verdicts = ranker.judge([one.bag for one in heard])
    return [_one(one, verdict) for one, verdict in zip(heard, verdicts, strict=True)]


def _one(heard: Heard, verdict: Verdict) -> Judged:
    bag, quality = heard.bag, heard.quality
    return Judged(
        id=bag.id,
        seconds=heard.clip.duration,
        hardness=round(verdict.hardness, 6),
        confidence=round(bag.confidence, 4),
        entropy=round(bag.entropy, 4),
        attended=_attended(heard, verdict),
        hypothesis=bag.hypothesis,
        quality=quality.as_dict(),
        flags=tuple(GUARD.flags(quality)),
    )


def _attended(heard: Heard, verdict: Verdict) -> tuple[tuple[float, float, float], ...]:
    times = heard.bag.times
    if verdict.attention is None or not len(times) or times.isnan().any():
        return ()
    return attended([(start, end) for start, end in times.tolist()], verdict.attention.tolist())
