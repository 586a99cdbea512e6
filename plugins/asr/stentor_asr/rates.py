"""Whether an encoder and an adapter leave enough embeddings a second to carry speech."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stentor.errors import Problem
from stentor.interfaces.task import Task
from stentor.train.assembly import class_of_role

Sections = Mapping[str, Mapping[str, Any]]


def sparse(task: type[Task], sections: Sections) -> list[Problem]:
    """The problem of a stride that leaves less than one embedding a second; nothing is built."""
    spec = class_of_role(task, sections, "encoder").spec(**_configured(sections, "encoder"))
    stride = class_of_role(task, sections, "adapter").stride_of(**_configured(sections, "adapter"))
    rate = spec.frame_rate / stride
    if rate >= 1:
        return []
    told = (
        f"a stride of {stride} over {spec.frame_rate:g} frames/s leaves {rate:.2g} embeddings/s, too few to carry "
        f"speech; it should be at most {int(spec.frame_rate)}."
    )
    return [Problem(told, path="adapter.stride", value=stride)]


def _configured(sections: Sections, role: str) -> dict[str, Any]:
    return {key: value for key, value in sections[role].items() if key != "name"}
