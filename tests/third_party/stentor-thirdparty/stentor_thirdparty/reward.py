"""Reward `keywords`: did the words that were asked for come back?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from stentor.interfaces.reward import Reward, Scores


class Keywords(Reward):
    """Recall and precision of the distinct words of ``prompt["reference"]`` in ``response["text"]``, and their mean.

    Args:
        shortest: words of fewer letters do not count.
    """

    nature = "verifiable"

    def __init__(self, *, shortest: int = 3) -> None:
        self.shortest = shortest

    def score(self, prompts: Sequence[Mapping[str, Any]], responses: Sequence[Mapping[str, Any]]) -> Scores:
        pairs = zip(prompts, responses, strict=True)
        rows = [self._row(prompt.get("reference"), response.get("text")) for prompt, response in pairs]
        recall, precision = torch.tensor(rows, dtype=torch.float32).reshape(-1, 2).unbind(-1)
        return Scores((recall + precision) / 2, {"recall": recall, "precision": precision})

    def _row(self, reference: str | None, text: str | None) -> tuple[float, float]:
        if reference is None or text is None:
            return float("nan"), float("nan")
        due, got = self._words(reference), self._words(text)
        hits = len(due & got)
        return hits / len(due) if due else 1.0, hits / len(got) if got else float(not due)

    def _words(self, text: str) -> set[str]:
        return {word for word in text.lower().split() if len(word) >= self.shortest}
