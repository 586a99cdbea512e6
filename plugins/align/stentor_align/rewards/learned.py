"""Reward ``bradley-terry``: what a trained reward model makes of a response's tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor.train import parts, run, weights
from stentor_align import rows
from stentor_align.rewards.safety import Items
from stentor_align.runs import merge_lora


class BradleyTerryReward(Reward):
    """The score of a run of task ``reward-model``, which reads tokens and makes no waveform.

    Reads ``row`` of a prompt, the row of the loader's batch that asked it; without one, what text policies ask:
    ``reference`` and the prompt's other fields. Reads ``tokens`` of a response, which have to be of the reward model's
    own vocabulary, or ``text``; without either the score is NaN. The part ``score`` is the same number before
    `mean` and `scale`.

    Args:
        run: folder of the reward model's run.
        by: what a response is read from; ``text`` for a policy with another vocabulary.
        mean: subtracted from scores, e.g. that of the policy's own responses before its tuning.
        scale: what counts as 1.
        batch: responses that are scored at a time.
    """

    nature = "learned"
    models = ("run",)
    contract = "stentor_align.testing:LearnedRewardContract"

    def __init__(
        self,
        *,
        run: str = "",
        by: Literal["tokens", "text"] = "tokens",
        mean: float = 0.0,
        scale: float = 1.0,
        batch: int = 64,
    ) -> None:
        wanted = {"scale": (scale, ranges.above_zero(scale)), "batch": (batch, ranges.least(batch, 1))}
        ranges.refuse(wanted, "reward.")
        self.run, self.by, self.mean, self.scale, self.batch = run, by, mean, scale, batch
        self._model: Any = None
        self._device = torch.device("cpu")

    def load_pretrained(self) -> dict[str, str]:
        if not self.run:
            raise StentorError("it must name the run of a reward model.", path="reward.run")
        folder = parts.folder_of(self.run)
        recipe, model = run.load(folder)
        if not hasattr(model, "scores"):
            raise StentorError(f"the run '{self.run}' is of task '{recipe.task}', not of a reward model.",
                               path="reward.run", value=self.run)  # fmt: skip
        merge_lora(model)
        digest = weights.combined(weights.digests(model))
        self._model = model.to(self._device).eval().requires_grad_(False)
        step = run.chosen(folder)[1].step
        return {"name": self.run, "source": f"run {self.run} at step {step}", "sha256": digest}

    def to(self, device: torch.device) -> None:
        self._device = device
        if self._model is not None:
            self._model.to(device)

    @torch.no_grad()
    def score(self, prompts: Items, responses: Items) -> Scores:
        if self._model is None and responses:
            self.load_pretrained()
        found = torch.full((len(responses),), torch.nan)
        usable = [(place, tokens) for place, one in enumerate(responses) if (tokens := self._tokens(one)) is not None]
        for start in range(0, len(usable), self.batch):
            some = usable[start : start + self.batch]
            places = [place for place, _ in some]
            found[places] = self._scores([prompts[place] for place in places], [tokens for _, tokens in some])
        return Scores((found - self.mean) / self.scale, {"score": found})

    def _tokens(self, response: Mapping[str, Any]) -> list[int] | None:
        """Ids of a response, None where it has none that the reward model knows."""
        key = "tokens" if self.by == "tokens" and "tokens" in response else "text"
        if not response.get(key) and not isinstance(response.get(key), str):
            return None
        tokens: list[int] = self._model.policy.tokens_of({key: response[key]})
        size = self._model.policy.vocabulary.size
        return tokens if all(0 <= token < size for token in tokens) else None

    def _scores(self, prompts: Items, tokens: list[list[int]]) -> Tensor:
        """float32 [n], each prompt read once for all of its responses."""
        different = {id(prompt): place for place, prompt in reversed(list(enumerate(prompts)))}
        places = sorted(different.values())
        told = rows.joined([_row(prompts[place]) for place in places])
        asked = self._model.policy.ask(rows.placed(told, self._device))
        owners = [places.index(different[id(prompt)]) for prompt in prompts]
        scores, _ = self._model.scores(asked, tokens, owners)
        return scores.float().cpu()


def _row(prompt: Mapping[str, Any]) -> rows.Row:
    """The row that asked a prompt, made up of its fields where it is not given."""
    if "row" in prompt:
        return dict(prompt["row"])
    name, text = str(prompt.get("id", "")), str(prompt.get("reference", ""))
    return {"ids": [name], "texts": [text], "speakers": [""], "custom": [dict(prompt)]}
