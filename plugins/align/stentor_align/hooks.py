"""Names and import strings of what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import stentor

if TYPE_CHECKING:
    from stentor.registry import Registry


@stentor.hookimpl
def stentor_register(registry: Registry) -> None:
    registry.task("dpo", "stentor_align.tasks.dpo:DPOTask")
    registry.task("reward-model", "stentor_align.tasks.reward_model:RewardModelTask")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"
