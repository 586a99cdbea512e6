"""Scored samples of a policy for every row of a manifest, and log-probabilities of what a manifest holds already."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from stentor.data import audio, quarantine
from stentor.data.atomic import writing
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.decoding import batch_of, batches, read
from stentor.evaluate.settings import EvaluateSettings
from stentor.evaluate.speaking import file_name
from stentor.interfaces.corpus import Rejected
from stentor.interfaces.reward import Reward
from stentor_align import legal, logprobs
from stentor_align.preferences import fields
from stentor_align.rollout import SamplingSettings
from stentor_align.tasks import experience

Candidates = dict[str, list[dict[str, Any]]]
"""Row -> responses with their scores."""
CPU = torch.device("cpu")


class Samples:
    """Scored responses on disk, one line for each row, so that a stopped call goes on where it was.

    Args:
        path: of the file.
        identity: what they depend on; a file of something else is begun anew.
    """

    def __init__(self, path: Path, identity: str) -> None:
        self.path, self.identity = path, identity
        self.known: Candidates = {}
        if path.is_file():
            self.known = dict(self._read())

    def _read(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        lines = self.path.read_text(encoding="utf-8").splitlines()
        if not lines or lines[0] != json.dumps(self.identity):
            return
        for line in lines[1:]:
            try:
                name, found = json.loads(line)
            except ValueError:
                continue  # torn by a kill: sampled again
            yield name, found

    def add(self, found: Candidates) -> None:
        """Keep what was sampled."""
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = not self.known
            with open(self.path, "w" if fresh else "a", encoding="utf-8") as file:
                file.write(json.dumps(self.identity) + "\n" if fresh else "")
                file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in found.items())
        self.known |= found


def sample(
    policy: Any,
    utterances: Sequence[Utterance],
    reward: Reward | None,
    kept: Samples,
    *,
    samples: int,
    settings: SamplingSettings,
    seed: int = 0,
    sounds: Path | None = None,
    batching: EvaluateSettings | None = None,
    progress: bool = True,
) -> list[Rejected]:
    """Sample and score what `kept` does not hold yet; returns what could not be read.

    The same seed gives the same samples, however often the call is stopped.

    Args:
        policy: in evaluation mode.
        utterances: what is asked.
        reward: gives the scores; None: nobody scores them.
        kept: where responses go.
        samples: of each row.
        settings: how to sample.
        seed: of all samples.
        sounds: folder beside the manifest to be, for what responses sound like; None: no audio is made.
        batching: rows at a time.
        progress: whether to show a bar.
    """
    failed: list[Rejected] = []
    groups = list(batches(utterances, batching or EvaluateSettings()))
    with tqdm(total=len(utterances), desc="sampling", unit="row", disable=not progress) as bar:
        for group in groups:
            bar.update(len(group))
            if all(one.id in kept.known for one in group):
                continue
            readable, waves = [], []
            for one in group:
                try:
                    waves.append(read(one, policy.sample_rate))
                    readable.append(one)
                except StentorError as error:
                    failed.append(Rejected(one.id, quarantine.reason(error)))
            if readable:
                drawn = (seed << 32) + zlib.crc32(readable[0].id.encode())
                batch = batch_of(readable, waves, CPU)
                options = {"samples": samples, "settings": settings, "seed": drawn}
                kept.add(_answered(policy, batch, reward, sounds, **options))
    return failed


def _answered(
    policy: Any, batch: dict[str, Any], reward: Reward | None, sounds: Path | None, **options: Any
) -> Candidates:
    if reward is None:
        _, made, responses = experience.said(policy, batch, **options)
        totals = [math.nan] * len(responses)
    else:
        made, responses, scores = experience.answered(policy, batch, reward, **options)
        totals = scores.total.tolist()
    found: Candidates = {name: [] for name in batch["ids"]}
    for owner, response, total in zip(made.owners, responses, totals, strict=True):
        name = batch["ids"][owner]
        told: dict[str, Any] = {key: response[key] for key in ("text", "tokens") if key in response}
        if sounds is not None and "audio" in response:
            told["audio"] = _heard(response, sounds, f"{file_name(name)}-{len(found[name])}")
        found[name].append(told if math.isnan(total) else {**told, "score": total})
    return found


def _heard(response: Mapping[str, Any], sounds: Path, name: str) -> str:
    """Keep what a response sounds like; its path beside the manifest."""
    wave = response["audio"].detach().float().cpu().numpy()
    audio.write(sounds / f"{name}.flac", wave, response["sample_rate"])
    return f"{sounds.name}/{name}.flac"


@torch.no_grad()
def with_log_probs(
    policy: Any, utterances: Sequence[Utterance], reference: str, *, progress: bool = True
) -> Iterator[Utterance | Rejected]:
    """Rows whose responses carry the log-probabilities of their tokens under a policy; `dpo` reads them.

    Args:
        policy: the reference, in evaluation mode.
        utterances: rows with preferences.
        reference: hash of its weights.
        progress: whether to show a bar.
    """
    for group in tqdm(list(batches(utterances, EvaluateSettings())), desc="scoring", disable=not progress):
        for one in group:
            try:
                batch = batch_of([one], [read(one, policy.sample_rate)], CPU)
                yield replace(one, custom=_with_log_probs(policy, batch, dict(one.custom), reference))
            except StentorError as error:
                yield Rejected(one.id, quarantine.reason(error))


def _with_log_probs(policy: Any, batch: dict[str, Any], custom: dict[str, Any], reference: str) -> dict[str, Any]:
    if not fields.pairs(custom, margin=-math.inf):
        raise StentorError("no two responses of which one is preferred are in the row.")
    names = [name for name in ("chosen", "rejected") if name in custom]
    responses = [fields.response(custom[name], name) for name in names]
    ranked = fields.ranking(custom["ranked"]) if "ranked" in custom else []
    said = [*responses, *ranked]
    tokens = [policy.tokens_of(one) for one in said]
    if names and list(tokens[0]) == list(tokens[1]):
        raise StentorError("chosen and rejected say the same: the policy has the same tokens for both.")
    prompts, owners = policy.ask(batch), [0] * len(tokens)
    found = logprobs.read(policy.backbone, prompts.embeddings, tokens, owners)
    allowed = legal.of_choices(prompts, owners, tokens)
    scored = logprobs.score(policy.backbone, found, legal=allowed).log_probs.split(list(found.lengths))
    told = [{**one, "log_probs": row.tolist(), "reference": reference} for one, row in zip(said, scored, strict=True)]
    custom |= dict(zip(names, told, strict=False))
    return custom | ({"ranked": told[len(names) :]} if ranked else {})
