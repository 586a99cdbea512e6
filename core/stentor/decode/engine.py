"""Generation: any backbone, a batch of prompts of different lengths, one cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from stentor.decode.generation import Generation, OnToken, Reason, Stop
from stentor.decode.run import Run
from stentor.decode.settings import GenerationSettings
from stentor.decode.speculation import Speculation
from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.interfaces.drafter import Drafter
from stentor.sequence.grammar import Grammar
from stentor.sequence.packing import CONTINUOUS

__all__ = ["Generation", "OnToken", "Reason", "Stop", "generate", "stream"]


@torch.inference_mode()
def generate(
    backbone: Backbone,
    prompts: Sequence[Tensor],
    settings: GenerationSettings | None = None,
    *,
    grammar: Grammar[Any] | Sequence[Grammar[Any]] | None = None,
    on_token: OnToken | None = None,
    stop: Stop | None = None,
    drafter: Drafter | None = None,
    prompt_ids: Sequence[Tensor] | None = None,
) -> Generation:
    """Continue every prompt. A row's tokens do not depend on its neighbours; a finished row leaves the batch.

    With a drafter the tokens are the same, in fewer passes of the backbone. A tie between two logits goes to the lower
    id; logits that are less apart than the rounding of the backbone's products may be decided otherwise by a pass over
    several positions than by a pass over one.

    Args:
        backbone: the model; dropout is off while generating.
        prompts: per row, embeddings float [T, dim] or ids int64 [T], T >= 1.
        settings: sampling and limits.
        grammar: which tokens may come next, with a state per row; several: one for each prompt.
        on_token: called with (row, token) as soon as a token is chosen.
        stop: called with (row, tokens so far) after every token; True ends the row. Where prompts have several
            continuations, rows are those of the continuations.
        drafter: proposes tokens that one pass verifies; greedy decoding only.
        prompt_ids: for the drafter, where prompts are embeddings: int64 [T] per row, -1 where there is no id.

    Raises:
        StentorError: for an empty prompt, a grammar over another vocabulary, or a drafter with a temperature,
            several samples, log-probabilities of the policy or a repetition guard.
    """
    settings = settings or GenerationSettings()
    if drafter is not None and settings.temperature:
        raise StentorError(f"drafted tokens are verified in greedy decoding alone; the temperature must be 0, not "
                           f"{settings.temperature:g}.", path="temperature", value=settings.temperature)  # fmt: skip
    beyond = {
        "samples": settings.samples > 1,
        "log_probs": settings.log_probs == "policy",
        "repetition_window": settings.repetition_window > 0,
    }
    if drafter is not None and any(beyond.values()):
        raise StentorError(
            "with a drafter each prompt has one greedy continuation, the model's log-probabilities and "
            "no repetition guard.",
            path=next(name for name, asked in beyond.items() if asked),
        )
    if not prompts:
        return Generation([], [], [] if settings.log_probs else None)
    options: dict[str, Any] = {"grammar": grammar, "on_token": on_token, "stop": stop}
    modules = [module for module in (backbone, drafter) if module is not None and module.training]
    for module in modules:
        module.eval()
    try:
        embedded = _embedded(backbone, prompts)
        if drafter is None:
            return Run(backbone, settings, len(prompts), **options).all(embedded)
        ids = [_ids(prompt) for prompt in prompts] if prompt_ids is None else prompt_ids
        return Speculation(backbone, settings, len(prompts), drafter=drafter, ids=ids, **options).all(embedded)
    finally:
        for module in modules:
            module.train()


@torch.inference_mode()
def stream(
    backbone: Backbone,
    prompts: Sequence[Tensor],
    settings: GenerationSettings | None = None,
    *,
    grammar: Grammar[Any] | Sequence[Grammar[Any]] | None = None,
) -> Iterator[tuple[int, int]]:
    """The tokens of `generate`, without a drafter, as they come: (row, token) pairs.

    The next pass is made when the next token is asked for. The backbone must be in evaluation mode.
    """
    settings = settings or GenerationSettings()
    run = Run(backbone, settings, len(prompts), grammar=grammar, on_token=None, stop=None)
    for pairs in run.steps(_embedded(backbone, prompts)):
        yield from pairs


def _embedded(backbone: Backbone, prompts: Sequence[Tensor]) -> list[Tensor]:
    empty = [row for row, prompt in enumerate(prompts) if len(prompt) == 0]
    if empty:
        raise StentorError(f"prompt {empty[0]} is empty; a prompt needs at least one position.")
    return [prompt if prompt.is_floating_point() else backbone.embed(prompt) for prompt in prompts]


def _ids(prompt: Tensor) -> Tensor:
    if not prompt.is_floating_point():
        return prompt
    return torch.full(prompt.shape[:1], CONTINUOUS, device=prompt.device)
