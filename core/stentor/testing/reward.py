"""The contract of rewards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.interfaces.reward import Scores
from stentor.testing.contract import ComponentContract


class RewardContract(ComponentContract):
    """Checks for rewards.

    Attributes:
        prompts: what was asked; give the keys that the reward documents.
        responses: what came back, one for each prompt.
        unusable: a response that cannot be scored; its total has to be NaN.
    """

    kind = "reward"
    prompts: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"reference": "turn left"},
        {"reference": "open the window"},
        {"reference": "seven boats"},
    )
    responses: ClassVar[Sequence[Mapping[str, Any]]] = (
        {"text": "turn left"},
        {"text": "open a door"},
        {"text": ""},
    )
    unusable: ClassVar[Mapping[str, Any]] = {}

    def probe(self, component: Any) -> Any:
        return _tensors(component.score(self.prompts, self.responses)).nan_to_num(-1e9).tolist()

    def test_nature(self) -> None:
        """It says whether it is verifiable, learned or generative."""
        nature = getattr(self.component_class, "nature", None)
        self.demand(nature in ("verifiable", "learned", "generative"), f"it declares nature = {nature!r}.")

    def test_shape(self) -> None:
        """Total and every part are float [B], for B = 0 too."""
        reward = self.build()
        for count in (len(self.prompts), 1, 0):
            scores = reward.score(self.prompts[:count], self.responses[:count])
            for name, value in (("total", scores.total), *scores.parts.items()):
                self.demand(value.shape == (count,), f"{count} responses give {name} of shape {tuple(value.shape)}.")
                self.demand(value.is_floating_point(), f"{name} is {value.dtype}.")
        self.demand(bool(scores.parts), "it names no part.")

    def test_finite(self) -> None:
        """Responses that can be scored get finite scores."""
        total = self.build().score(self.prompts, self.responses).total
        self.demand(bool(torch.isfinite(total).all()), f"usable responses score {total.tolist()}.")

    def test_unusable_response(self) -> None:
        """What cannot be scored gets NaN, raises nothing and leaves the other scores as they were."""
        reward = self.build()
        usable = reward.score(self.prompts, self.responses).total
        mixed = reward.score((*self.prompts, self.prompts[0]), (*self.responses, self.unusable)).total
        self.demand(bool(torch.isnan(mixed[-1])), f"the response {dict(self.unusable)} scores {float(mixed[-1]):g}, "
                                                  f"NaN is due.")  # fmt: skip
        self.demand(torch.equal(mixed[:-1], usable), "an unusable response changes the scores of the others.")

    def test_permutation(self) -> None:
        """Scores follow their pairs: order and company change nothing."""
        reward = self.build()
        forward = _tensors(reward.score(self.prompts, self.responses))
        backward = _tensors(reward.score(self.prompts[::-1], self.responses[::-1]))
        self.demand(
            torch.allclose(backward.flip(-1), forward, atol=self.tolerance, equal_nan=True),
            f"in reverse order the pairs score {backward.flip(-1)[0].tolist()}, not {forward[0].tolist()}.",
        )
        alone = torch.cat([reward.score(self.prompts[i : i + 1], self.responses[i : i + 1]).total
                           for i in range(len(self.prompts))])  # fmt: skip
        self.demand(torch.allclose(alone, forward[0], atol=self.tolerance),
                    f"alone the pairs score {alone.tolist()}, together {forward[0].tolist()}.")  # fmt: skip


def _tensors(scores: Scores) -> Tensor:
    """Total and parts as one tensor [1 + parts, B]."""
    return torch.stack([scores.total, *(scores.parts[name] for name in sorted(scores.parts))])
