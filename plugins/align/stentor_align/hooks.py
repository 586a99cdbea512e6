"""Names and import strings of what this plugin brings; imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import stentor

if TYPE_CHECKING:
    from stentor.registry import Registry, Verbs


@stentor.hookimpl
def stentor_kinds(registry: Registry) -> None:
    registry.kind("judge", "stentor_align.interfaces:Judge", "questions to answers in words")


@stentor.hookimpl
def stentor_register(registry: Registry) -> None:
    registry.judge("scripted", "stentor_align.judges.scripted:ScriptedJudge")
    registry.judge("policy", "stentor_align.judges.policy:PolicyJudge")
    registry.judge("openai", "stentor_align.judges.openai:OpenAIJudge")
    registry.reward("composite", "stentor_align.rewards.composite:CompositeReward")
    registry.reward("format", "stentor_align.rewards.thoughts:FormatReward")
    registry.reward("answer", "stentor_align.rewards.answer:AnswerReward")
    registry.reward("thought-length", "stentor_align.rewards.thoughts:ThoughtLengthReward")
    registry.reward("tool-call", "stentor_align.rewards.tool_call:ToolCallReward")
    registry.reward("bradley-terry", "stentor_align.rewards.learned:BradleyTerryReward")
    registry.reward("judge", "stentor_align.rewards.judge:JudgeReward")
    registry.corpus("spoken-questions", "stentor_align.corpora.questions:SpokenQuestions")
    registry.task("grpo", "stentor_align.tasks.grpo:GRPOTask")
    registry.task("ppo", "stentor_align.tasks.ppo:PPOTask")
    registry.task("raft", "stentor_align.tasks.raft:RAFTTask")
    registry.task("dpo", "stentor_align.tasks.dpo:DPOTask")
    registry.task("reward-model", "stentor_align.tasks.reward_model:RewardModelTask")


@stentor.hookimpl
def stentor_recipes() -> Path:
    return Path(__file__).parent / "recipes"


@stentor.hookimpl
def stentor_verbs(verbs: Verbs) -> None:
    verbs.add("preferences", "stentor_align.cli.preferences", "make preference data of samples, and exchange it")
    verbs.add("prefer", "stentor_align.cli.prefer", "compare responses on a local page, blind, and keep the votes")
    verbs.add("merge", "stentor_align.cli.merge", "one run out of several, or the policy out of a run that tuned it")
