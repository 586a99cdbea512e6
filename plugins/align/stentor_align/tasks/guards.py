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

from stentor.interfaces.policy import Policy, Prompts
from stentor.interfaces.reward import Reward
from stentor.sequence.grammar import Grammar
from stentor_align import rollout
from stentor_align.rewards import safety
from stentor_align.rollout import Rollout, SamplingSettings
from stentor_align.tasks import experience, independence
from stentor_align.tasks.experience import Experience
from stentor_align.tasks.figures import Figures

Section = Mapping[str, Any]


def independent(judge: Section, reward: Section) -> None:
    """Refuse a judge that is the reward, or a part of it, or the same by another setting.

    Raises:
        StentorError: then (see `stentor_align.tasks.independence`).
    """
    independence.refuse(sections(judge), sections(reward))


def sections(reward: Section) -> Iterator[Section]:
    """A reward's section and those of all of its parts, other than ``composite``, which scores nothing by itself."""
    if reward.get("name") != "composite":
        yield reward
    for part in (reward.get("parts") or {}).values():
        found = part["reward"]
        yield from sections({"name": found} if isinstance(found, str) else found)


@torch.no_grad()
def judged(policy: Policy, found: Experience, judge: Reward, *, timeout: float = 0.0) -> Figures:
    """What a judge that gives no reward thinks of sampled responses: ``judge``, and ``judge/PART`` for its parts.

    ``judge/dropped`` is the share that it could not score.
    """
    answers = experience.meant(policy, found.batch, policy.ask(found.batch), found.rollout)
    scores = safety.score(judge, answers.prompts, answers.responses, timeout=timeout, name="judge")
    told = Figures()
    told.add("judge", scores.total)
    for name, part in scores.parts.items():
        told.add(f"judge/{name}", part)
    told.add("judge/dropped", scores.total.isnan().float())
    return told


@torch.no_grad()
def divergence(reference: Any, found: Experience, sampling: SamplingSettings) -> Figures:
    """``divergence``: nats by which a response is likelier under the policy than under `reference`, a mean.

    Over the policy's own samples that estimates the Kullback-Leibler divergence of whole responses.
    """
    scored, _ = rollout.rescore(reference, reference.ask(found.batch), found.rollout, sampling)
    own = torch.stack([row.sum() for row in found.rollout.log_probs])
    told = Figures()
    told.add("divergence", own - scored.totals()[0].cpu())
    return told


@torch.no_grad()
def probed(
    policy: Policy, found: Experience, reward: Reward, sampling: SamplingSettings, *, timeout: float = 0.0
) -> Figures:
    """What the reward gives for tricks: ``probe/empty``, ``probe/repeated``, ``probe/longest``.

    What is not legal under the policy's grammar, and what the reward cannot score, is missing.
    """
    prompts = policy.ask(found.batch)
    told = Figures()
    for name, responses in tricks(prompts, found.rollout, sampling.longest_of(prompts)).items():
        there = [row for row, tokens in enumerate(responses) if tokens]
        made = Rollout([responses[row] for row in there], there, [], [])
        answers = experience.meant(policy, found.batch, prompts, made)
        scores = safety.score(reward, answers.prompts, answers.responses, timeout=timeout, name=f"probe '{name}'").total
        if not scores.isnan().all():
            told.add(f"probe/{name}", scores)
    return told


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
