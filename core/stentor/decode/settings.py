"""What a request may set about generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stentor.errors import Problem, StentorError


@dataclass(frozen=True)
class GenerationSettings:
    """How to generate.

    Attributes:
        max_new_tokens: tokens after which a row ends in any case.
        stop_ids: ids that end a row; the id itself is the row's last token.
        temperature: divides the logits before sampling; 0 takes the best token each time (greedy).
        top_k: sample among the `top_k` best tokens only; 0: among all.
        top_p: sample among the fewest best tokens that together have this probability (nucleus sampling, Holtzman et
            al. 2020, arXiv 1904.09751).
        repetition_penalty: divides positive and multiplies negative logits of tokens that the row has already
            generated (Keskar et al. 2019, arXiv 1909.05858); 1: none.
        repetition_window: tokens that the repetition guard looks back on (VALL-E 2, arXiv 2406.05370); 0: no guard. A
            chosen token that makes up more than `repetition_share` of them is drawn anew from all that the model gives,
            without `top_k` and `top_p`: what goes round in circles gets out, what is rightly said again mostly stays.
        repetition_share: see there.
        seed: row i samples with a generator of its own, seeded with ``seed + i``.
        seeds: of every row, in place of that: a row then says the same beside any others.
        log_probs: whether to return the log-probability of each chosen token: True or ``model`` is what the model gives
            it, before temperature, truncation, penalty and grammar; ``policy`` counts temperature and grammar in, but
            not truncation and penalty, and is what a policy gradient differentiates.
        samples: continuations of each prompt, which is read once; they lie side by side, and row i continues prompt
            ``i // samples``.
    """

    max_new_tokens: int = 256
    stop_ids: tuple[int, ...] = ()
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    repetition_window: int = 0
    repetition_share: float = 0.1
    seed: int = 0
    seeds: tuple[int, ...] = ()
    log_probs: bool | Literal["model", "policy"] = False
    samples: int = 1

    def __post_init__(self) -> None:
        rules = {
            "max_new_tokens": (self.max_new_tokens >= 1, "must be at least 1"),
            "temperature": (self.temperature >= 0, "must be 0 (greedy) or positive"),
            "top_k": (self.top_k >= 0, "must be 0 (all) or positive"),
            "top_p": (0 < self.top_p <= 1, "must lie in (0, 1]"),
            "repetition_penalty": (self.repetition_penalty > 0, "must be positive"),
            "repetition_window": (self.repetition_window >= 0, "must be 0 (no guard) or positive"),
            "repetition_share": (0 <= self.repetition_share < 1, "must lie in [0, 1)"),
            "samples": (self.samples >= 1, "must be at least 1"),
        }
        wrong = [
            Problem(f"{text}, not {getattr(self, name)}.", name, getattr(self, name))
            for name, (fits, text) in rules.items()
            if not fits
        ]
        if wrong:
            raise StentorError(problems=wrong)
