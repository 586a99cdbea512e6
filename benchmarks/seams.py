"""Speech without pauses, cut into windows: what is lost or doubled at the seams, by way of cutting.

Sentences of a manifest are trimmed and joined with 0.1 s between them, so that no pause is long enough to cut at. The
recording is cut at quiet points, and by voice activity with overlaps: stitched, and with all that both windows heard.
Words inserted and deleted over those of `sentences`, which are heard one by one, are what the cuts cost, and what it
costs to hear several sentences at once. Run with ``python benchmarks/seams.py [--run RUN] [--manifest M] [--limit N]
[--vad NAME]``; without a run, the embedded Whisper is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from stentor.data import audio
from stentor.data.manifest import load
from stentor.evaluate.alignment import align
from stentor.evaluate.normalisers import English
from stentor.plugins import registry
from stentor_asr.transcribe import pipeline
from stentor_asr.transcribe.choice import choose

RATE, GAP, AUDIBLE = 16_000, 0.1, 1e-3
ENGLISH = English()
MANIFEST = Path("corpora/commands/heldout-sentences.jsonl.gz")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, help="a trained run")
    parser.add_argument("--manifest", type=Path, default=MANIFEST)
    parser.add_argument("--limit", type=int, default=80, help="sentences")
    parser.add_argument("--vad", default="energy")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.manifest.exists():
        print(f"{arguments.manifest} is not there; name another with --manifest", file=sys.stderr)
        return 2
    rows = load(arguments.manifest)[: arguments.limit]
    clips = [trimmed(audio.read(row.audio, RATE, row.start, row.duration)) for row in rows]
    reference = ENGLISH(" ".join(row.text for row in rows)).split()
    found = dict(heard(arguments, clips))
    counts = {way: counted(reference, ENGLISH(text).split()) for way, text in found.items()}
    seconds = round(sum(map(len, clips)) / RATE + GAP * len(clips), 1)
    print(
        json.dumps({"benchmark": "seams", "seconds": seconds, "words": len(reference), "vad": arguments.vad, **counts})
    )


def heard(arguments: argparse.Namespace, clips: list[np.ndarray]) -> Iterator[tuple[str, str]]:
    """Each way of cutting, and the text that it gives."""
    recogniser, vad = choose(arguments.run, device="cpu"), registry().build("vad", arguments.vad)
    recogniser.load_pretrained()
    vad.load_pretrained()
    gap = np.zeros(round(GAP * RATE), np.float32)
    speech = np.concatenate([part for clip in clips for part in (clip, gap)])
    alone = [recogniser.recognise([clip])[0] for clip in clips]
    yield "sentences", " ".join(segment.text for one in alone for segment in one.segments)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        audio.write(path, speech, RATE)
        for way, detector in (("quiet_points", None), ("stitched", vad)):
            yield way, next(pipeline.transcribe([path], recogniser, vad=detector)).text
        with mock.patch.object(pipeline, "stitched", lambda left, right, *_: [*left, *right]):
            yield "not_stitched", next(pipeline.transcribe([path], recogniser, vad=vad)).text


def trimmed(clip: np.ndarray) -> np.ndarray:
    """The clip from the first to the last 10 ms within 30 dB of its loudest."""
    power = np.convolve(clip**2, np.full(160, 1 / 160), "same")
    loud = np.flatnonzero(power > AUDIBLE * power.max())
    return clip[loud[0] : loud[-1] + 1]


def counted(reference: list[str], words: list[str]) -> dict[str, float]:
    kinds = Counter(step.kind for step in align(reference, words))
    wrong = {kind: kinds[kind] for kind in ("substitution", "insertion", "deletion")}
    return {"wer": round(100 * sum(wrong.values()) / len(reference), 2), **wrong}


if __name__ == "__main__":
    sys.exit(main())
