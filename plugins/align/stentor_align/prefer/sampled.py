"""Pairs that a run is asked for."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor.interfaces.policy import Policy
from stentor.train import parts, run
from stentor_align import runs
from stentor_align.prefer.questions import RESPONSES
from stentor_align.prefer.sources import Source
from stentor_align.preferences.sampling import Samples, sample
from stentor_align.rollout import SamplingSettings


@dataclass(frozen=True)
class Asked:
    """How a run is asked for responses.

    Attributes:
        prompts: a manifest; empty: the run's validation set.
        rows: at most so many prompts, drawn by the seed.
        samples: responses to each.
        temperature: of the samples.
        seed: of prompts and samples.
    """

    prompts: str = ""
    rows: int = 50
    samples: int = 2
    temperature: float = 1.0
    seed: int = 0


class Sampled(Source):
    """Pairs that a run says, unscored, kept on disk so that they are the same after a stop.

    Args:
        name: of the run.
        asked: how it is asked.
        kept: file of the samples; a folder for their audio is beside it.
        sounds: that folder.

    Raises:
        StentorError: when there is no such run, or it does not answer prompts with tokens.
    """

    def __init__(self, name: str, asked: Asked, kept: Path, sounds: Path) -> None:
        self.asked, self.kept, self.sounds, self.folder = asked, kept, sounds, sounds.parent
        self.settings = SamplingSettings(temperature=asked.temperature)
        self.prompts = asked.prompts or _validation_set(name)
        self.policy, told = runs.trained(name)
        if not isinstance(self.policy, Policy):
            raise StentorError("it does not answer prompts with tokens: there is nothing to prefer.", path=name)
        plain = [asked.rows, asked.samples, asked.temperature, asked.seed]
        self.identity = json.dumps([told["sha256"], *plain, manifest.fingerprint(self.prompts)])

    def rows(self) -> tuple[list[Utterance], list[Rejected]]:
        dropped: list[Rejected] = []
        rows = manifest.load(self.prompts, report=dropped.extend)
        if len(rows) > self.asked.rows:
            rows = random.Random(self.asked.seed).sample(rows, self.asked.rows)
        kept = Samples(self.kept, self.identity)
        dropped += sample(
            self.policy.eval(),
            rows,
            None,
            kept,
            samples=self.asked.samples,
            settings=self.settings,
            seed=self.asked.seed,
            sounds=self.sounds,
        )
        known = [(row, kept.known[row.id]) for row in rows if row.id in kept.known]
        return [replace(row, custom={**row.custom, RESPONSES: found}) for row, found in known], dropped


def _validation_set(name: str) -> str:
    recipe, _ = run.chosen(parts.folder_of(name))
    found = recipe.config.get("data", {}).get("valid", "")
    if not found:
        raise StentorError("the run has no validation set; name a manifest of prompts.", path="PROMPTS")
    return str(found)
