"""How natural the output is, as a network guesses that listeners would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import torch
from tqdm import tqdm

from stentor.interfaces.metric import AudioMetric, Counts, Spoken
from stentor_tts.judges.marks import mark
from stentor_tts.measures.naturalness import dnsmos
from stentor_tts.mel import SAMPLE_RATE


class DNSMOS(AudioMetric):
    """Overall DNSMOS P.835 from 1 to 5, the mean over rows; each row's notes also have the speech's and background's.

    Reddy, Gopal and Cutler 2022 (arXiv:2110.01763). It was trained on noisy speech, not on synthesis: it hears noise,
    buzzing and clipping, not wrong words or dull melody.
    """

    lower_is_better, unit = False, "MOS"

    def load_pretrained(self) -> dict[str, str]:
        return dnsmos().provenance()

    def measure(self, rows: Sequence[Spoken]) -> list[Counts]:
        return [self._one(row) for row in tqdm(rows, "dnsmos", disable=not rows)]

    def _one(self, row: Spoken) -> Counts:
        wave = row.output.read(SAMPLE_RATE)
        of = mark(wave, "dnsmos")
        if row.notes.get("dnsmos", {}).get("of") != of:
            row.notes["dnsmos"] = {**asdict(dnsmos().rate(torch.from_numpy(wave))), "of": of}
        return float(row.notes["dnsmos"]["overall"]), 1.0
