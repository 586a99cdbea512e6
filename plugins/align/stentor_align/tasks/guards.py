"""Guards against gaming a reward: what an outsider thinks of it, how far the policy strayed, what cheap tricks earn.

All of it is measured in validation and learnt from never. A rising reward means something where the outsider's score
rises too, and where tricks earn less than honest responses (Gao et al. 2022, arXiv 2210.10760).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle, islice, repeat
from typing import Any

import torch

from stentor.errors import StentorError
from stentor.interfaces.policy import Policy, Prompts
from stentor.interfaces.reward import Reward
from stentor.sequence.grammar import Grammar
from stentor_align import rollout, rows
from stentor_align.rewards import safety
from stentor_align.rollout import Rollout, SamplingSettings
from stentor_align.tasks.experience import Experience, known_mean

Section = Mapping[str, Any]


def independent(judge: Section, reward: Section) -> None:
    """Refuse a judge that is the reward, or a part of it.

    Raises:
        StentorError: then.
    """
    rewarded = list(sections(reward))
    for one in sections(judge):
        if one in rewarded:
            told = "what gives the reward cannot be the judge of what the reward has done; name another one."
            raise StentorError(told, path="task.judge", value=one["name"])


def sections(reward: Section) -> Iterator[Section]:
    """A reward's section and those of all of its parts, other than ``composite``, which scores nothing by itself."""
    if reward.get("name") != "composite":
        yield reward
    for part in (reward.get("parts") or {}).values():
        found = part["reward"]
        yield from sections({"name": found} if isinstance(found, str) else found)


@torch.no_grad()
def judged(policy: Policy, found: Experience, judge: Reward) -> dict[str, float]:
    """What a judge that gives no reward thinks of sampled responses: ``judge``, and ``judge/PART`` for its parts."""
    prompts, made = policy.ask(found.batch), found.rollout
    asked = _asked(prompts, found.batch)
    responses = policy.responses(prompts, made.owners, made.tokens)
    scores = safety.score(judge, [asked[owner] for owner in made.owners], responses, name="judge")
    parts = {f"judge/{name}": known_mean(part.float().cpu()) for name, part in scores.parts.items()}
    return {"judge": known_mean(scores.total), **parts}


@torch.no_grad()
def divergence(reference: Any, found: Experience, sampling: SamplingSettings) -> dict[str, float]:
    """``divergence``: nats by which a response is likelier under the policy than under `reference`, a mean.

    Over the policy's own samples that estimates the Kullback-Leibler divergence of whole responses.
    """
    scored, _ = rollout.rescore(reference, reference.ask(found.batch), found.rollout, sampling)
    own, others = sum(float(row.sum()) for row in found.rollout.log_probs), float(scored.log_probs.sum())
    return {"divergence": (own - others) / max(1, len(found.rollout.tokens))}


@torch.no_grad()
def probed(policy: Policy, found: Experience, reward: Reward, sampling: SamplingSettings) -> dict[str, float]:
    """What the reward gives for tricks: ``probe/empty``, ``probe/repeated``, ``probe/longest``.

    What is not legal under the policy's grammar, and what the reward cannot score, is missing.
    """
    prompts = policy.ask(found.batch)
    asked = _asked(prompts, found.batch)
    numbers = {}
    for name, responses in tricks(prompts, found.rollout, sampling.longest_of(prompts)).items():
        there = [row for row, tokens in enumerate(responses) if tokens]
        made = policy.responses(prompts, there, [responses[row] for row in there])
        scores = safety.score(reward, [asked[row] for row in there], made, name=f"probe '{name}'").total
        if not scores.isnan().all():
            numbers[f"probe/{name}"] = known_mean(scores)
    return numbers


def tricks(prompts: Prompts, made: Rollout, longest: Sequence[int]) -> dict[str, list[list[int]]]:
    """Responses that try to please without an answer, one to each prompt, legal under its grammar; [] where none is.

    ``empty`` ends at once; ``repeated`` says the policy's most frequent token over and over; ``longest`` says
    everything that the policy said to this batch, end to end; neither of these ends by itself.

    Args:
        prompts: what is asked.
        made: what the policy said to them.
        longest: most tokens of a response to each prompt.
    """
    stop = set(prompts.stop_ids)
    said = [token for row in made.tokens for token in row if token not in stop] or [0]
    ((frequent, _),) = Counter(said).most_common(1)
    grammars = prompts.grammars(range(len(prompts)))
    known: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    for grammar, most in zip(grammars, longest, strict=True):
        if (id(grammar), most) not in known:
            walks = (_followed(grammar, wanted, most, stop) for wanted in (repeat(frequent), cycle(said)))
            known[id(grammar), most] = tuple(map(list, walks))  # type: ignore[assignment]
    both = [known[id(grammar), most] for grammar, most in zip(grammars, longest, strict=True)]
    empty = [[one for one in prompts.stop_ids if grammar.allowed(grammar.start())[one]][:1] for grammar in grammars]
    return {"empty": empty, "repeated": [one for one, _ in both], "longest": [other for _, other in both]}


def _followed(grammar: Grammar[Any], wanted: Iterable[int], most: int, stop: set[int]) -> Iterator[int]:
    """`wanted` tokens, or the first other one where the grammar forbids that; never an end."""
    state = grammar.start()
    for token in islice(wanted, most):
        mask = grammar.allowed(state).clone()
        mask[list(stop)] = False
        if not mask.any():
            return
        chosen = token if mask[token] else int(mask.int().argmax())
        yield chosen
        state = grammar.advance(state, chosen)


def _asked(prompts: Prompts, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What rewards may read of each prompt, ``row``, its row of the batch, included."""
    return [{**asked, "row": row} for asked, row in zip(prompts.asked, rows.split(batch), strict=True)]
