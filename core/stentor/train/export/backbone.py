"""The language model of a run as a folder that `transformers` loads."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stentor.errors import StentorError
from stentor.model import lora
from stentor.model.causal_lm import CausalLM

if TYPE_CHECKING:
    from stentor.interfaces.task import Task


def write(task: Task, folder: Path, tokenizer: Path) -> None:
    """Write the one `CausalLM` of `task`, its LoRA updates merged in, for ``AutoModelForCausalLM.from_pretrained``.

    Its ids are those of the run: the text tokenizer's come first. `task` is changed by merging.

    Raises:
        StentorError: when the task has no such backbone, or several.
    """
    from transformers import AutoModelForCausalLM

    found = [module for module in task.modules() if isinstance(module, CausalLM)]
    if len(found) != 1:
        raise StentorError(f"the run has {len(found)} backbones 'causal-lm'; --backbone is for exactly one.")
    (ours,) = found
    lora.merge(ours)
    config = copy.deepcopy(ours.decoder.config)
    config.use_cache = True
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")  # type: ignore[no-untyped-call]
    model.model.load_state_dict(ours.decoder.state_dict())
    if ours.head is not None:
        model.lm_head.load_state_dict(ours.head.state_dict())
    model.tie_weights()
    model.save_pretrained(folder)
    if tokenizer.is_file():
        shutil.copyfile(tokenizer, folder / tokenizer.name)
