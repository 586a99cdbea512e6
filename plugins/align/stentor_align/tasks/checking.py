"""What can be said against a tuning task before any training: it is built once, around a policy without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import Problem, StentorError
from stentor.sequence.vocabulary import Vocabulary
from stentor.train import parts
from stentor_align import runs


class _StandIn(nn.Module):
    """A policy for settings to be tried on where the run that is to be tuned is not there (yet)."""

    metrics, capabilities = (), frozenset[str]()

    def __init__(self) -> None:
        super().__init__()
        self.vocabulary, self.backbone = Vocabulary(), _Bare()
        self.vocabulary.add("text", 1)


class _Bare(nn.Module):
    dim = 1


def misfits(cls: Any, run: str, configured: Mapping[str, Any]) -> list[Problem]:
    """What the constructor of a tuning task refuses; no weights are read, and tensors take no memory.

    Blocks of the vocabulary and other runs can be looked at only where the folders of the runs are there.

    Args:
        cls: the task's class.
        run: whose policy it is to tune.
        configured: its other settings.
    """
    if not run:
        return [Problem("it must name the run whose policy is tuned.", "task.run", run)]
    there, given = parts.folder_of(run).is_dir(), dict(configured)
    if not there:
        given.pop("left_out", None)
    if not there or not parts.folder_of(given.get("reference_run") or run).is_dir():
        given.pop("reference_run", None)
    try:
        with torch.device("meta"):
            policy = runs.built(runs.structure_of(run), run) if there else _StandIn()
            cls(policy, run=run, **given)
    except StentorError as error:
        return [one if one.path else replace(one, path="task") for one in error.problems]
    except Exception:  # a stranger's policy that computes with weights while it is built cannot be looked at like this
        return []
    return []


def without_adapters(config: Mapping[str, Any]) -> list[Problem]:
    """A reference that would need LoRA, in a recipe that trains without.

    Args:
        config: of the recipe, every default filled in.
    """
    task = config["task"]
    unused = task.get("kl", 1.0) == 0 or task.get("loss") == "simpo"
    if task.get("reference") != "adapters-off" or unused or config["train"]["lora"]["rank"]:
        return []
    told = "the policy has no adapters to switch off; set train.lora.rank, or keep a frozen reference."
    return [Problem(told, "task.reference", "adapters-off")]


def without_log_probs(config: Mapping[str, Any]) -> list[Problem]:
    """A reference that the training manifest is to tell, and does not in any row; if that manifest is there.

    Args:
        config: of the recipe, every default filled in.
    """
    task, named = config["task"], config["data"]["train"]
    if task.get("reference") != "manifest" or task.get("loss") == "simpo" or not Path(named or "/").is_file():
        return []
    for row in manifest.rows(named, check_audio=False):
        if isinstance(row, Utterance) and _told(row.custom):
            return []
    told = f"no row of {named} has log_probs; write them with 'stentor preferences score', or take another reference."
    return [Problem(told, "task.reference", "manifest")]


def _told(custom: Mapping[str, Any]) -> bool:
    """Whether responses of a row have log-probabilities."""
    responses = [custom.get("chosen"), custom.get("rejected"), *(custom.get("ranked") or ())]
    return any(isinstance(one, Mapping) and "log_probs" in one for one in responses)
