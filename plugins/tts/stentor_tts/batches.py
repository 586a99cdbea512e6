"""Batches for arbitrary code (filters, rewriters, voices): an item that makes one raise costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")


def spared(work: Callable[[Sequence[Given]], Sequence[Found]], items: Sequence[Given]) -> list[Found | Exception]:
    """What `work` finds for each of `items`; where it fails on all of them it is asked for one after the other, and
    what it raises then stands in place of a finding."""
    try:
        found = list(work(items)) if items else []
        if len(found) != len(items):
            raise ValueError(f"it answers {len(found)} times for {len(items)}")
    except Exception as cause:
        return [cause] if len(items) == 1 else [one for item in items for one in spared(work, [item])]
    return list(found)
