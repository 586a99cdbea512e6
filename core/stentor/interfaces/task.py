"""Tasks: the named bundle of layout, objective and grammar on top of a model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from stentor.errors import Problem, StentorError
from stentor.interfaces.component import Component

if TYPE_CHECKING:
    from stentor.data.utterance import Utterance


@dataclass
class Loss:
    """What a training step returns.

    Attributes:
        value: the mean loss to descend.
        units: how many units it averages.
        parts: named parts to log, means too.
        counts: how many units a part averages, where these are not all of them.
    """

    value: Tensor
    units: int
    parts: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)


class Task(Component, nn.Module):
    """A trainable, evaluable whole: wired with its built components by role, given batches of cuts.

    The constructor is wired with one positional parameter per role of `roles`, in that order; the rest is configured.

    A task gives texts (`predict`), or audio (`synthesise`, capability ``"speaks"``), or both. What only speaks has no
    texts to score while it trains: validation gives its loss alone, and `stentor evaluate` scores what it says.
    Capability ``"reads"``: what it says is a text that it is given; a run of such a task is a voice.

    Attributes:
        roles: role name -> kind, e.g. ``{"encoder": "encoder", "text": "tokenizer"}``. A recipe has one section per
            role; a role whose name differs from its kind is written ``tokenizer@text`` in a defaults list.
        optional_roles: the roles that a recipe may leave unfilled; their parameters come last and default to None.
        metrics: names of the metrics that score its outputs; those of audio (`AudioMetric`) only in evaluation.
        hears_cached: whether its batches hold the audio too where the outputs of `cached_encoder` are cached.
        spent: share of the budget that training has spent, the step at hand included; for what begins at some share.
    """

    roles: ClassVar[Mapping[str, str]]
    optional_roles: ClassVar[frozenset[str]] = frozenset()
    metrics: ClassVar[tuple[str, ...]] = ("wer", "cer")
    hears_cached: ClassVar[bool] = False
    spent: float = 0.0

    @classmethod
    @abstractmethod
    def assemble(
        cls,
        sections: Mapping[str, Mapping[str, Any]],
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> Task:
        """Build components and wire them (see `stentor.train.assembly` for the usual way).

        Args:
            sections: role -> ``{"name": ..., **configured}``.
            texts: training transcripts, to train tokenizers on; given for a new run.
            state: what `state` gave, to restore tokenizers and vocabularies from; given for a saved run. Exactly one
                of `texts` and `state` is given.
            configured: the task's own keyword-only parameters.
        """

    @classmethod
    def check(cls, sections: Mapping[str, Mapping[str, Any]], **configured: Any) -> list[Problem]:
        """What does not fit between neighbours (widths, rates, vocabularies), without building anything."""
        return []

    @classmethod
    def check_recipe(cls, config: Mapping[str, Any]) -> list[Problem]:
        """What of the whole recipe does not fit the task, such as a setting of ``train`` that it cannot do without.

        Args:
            config: of the recipe, every default filled in.
        """
        return []

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Of the audio in its batches (Hz)."""

    @abstractmethod
    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        """Loss of a batch from the loader: ``audio`` [B, N], ``audio_lengths`` [B], ``texts`` list[str], ``ids``
        list[str], and ``frames`` [B, T, D], ``frame_lengths`` [B] when encoder outputs are cached, instead of audio
        unless `hears_cached`."""

    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        """Outputs for the same kind of batch, one text per row; batch equals single.

        Raises:
            StentorError: when the task gives no texts.
        """
        raise StentorError(f"{type(self).__name__} gives no texts.", path="task")

    def synthesise(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """What is said for the same kind of batch: a waveform float [N] in [-1, 1] at `sample_rate` for every row.

        Batch equals single. What a row shall say is its text, or its audio for a task that says again what it hears;
        a task documents which of the rows' fields (``prompt``, ``style``, ...) it obeys.

        Raises:
            StentorError: when the task does not speak: it lacks the capability ``"speaks"``.
        """
        raise StentorError(f"{type(self).__name__} does not speak: it gives no audio.", path="task")

    def cached_encoder(self) -> nn.Module | None:
        """The frozen encoder whose outputs the loader may cache on disk, or None."""
        return None

    def encoder_sections(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """How its encoders were configured, by role: what frames are cached under, beside the encoder's weights.

        Args:
            config: of the recipe.
        """
        return {role: config[role] for role, kind in self.roles.items() if kind == "encoder"}

    def state(self) -> dict[str, Any]:
        """JSON-ready state that is not tensors, e.g. the trained tokenizer's; `assemble` takes it back."""
        return {}

    def acquaint(self, rows: Sequence[Utterance]) -> None:
        """Called once for a new run whose set is not streamed, in every process, with the weights that it begins with.

        A task may keep in its tensors what it is to know of the training set, e.g. a sample of each speaker, and
        refuse a set that it could learn nothing from, before there is a run.

        Args:
            rows: the training utterances, one at least.

        Raises:
            StentorError: when it could learn nothing from them.
        """

    def initialised(self, missing: Collection[str]) -> None:
        """Called when the weights of another run were copied in (`train.initialise`), before training.

        Args:
            missing: names of the tensors that the other run did not have; a task may set them from those it did have.
        """

    def growing(self) -> Collection[str]:
        """Names of the tensors whose rows are ids of the task's vocabulary.

        A run that begins with the weights of another (`train.initialise`) may have more of them than that one: the
        first rows are copied, the others stay as built.
        """
        return ()

    def training_state(self) -> dict[str, Any]:
        """What the next step depends on beside weights, optimiser and random sources: tensors and plain data.

        It goes into every checkpoint; a resumed run gives it to `load_training_state` before its first step.
        """
        return {}

    def load_training_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `training_state` gave."""

    def finished(self) -> None:
        """Called when training ends, however it does: processes and files that the task holds are let go here."""

    def statistics(self) -> dict[str, Any] | None:
        """What was counted while predicting since the last call, JSON-ready, which begins the count anew.

        `stentor evaluate` writes it beside the scores of a set and the report shows what it knows of it: ``decoding``
        of drafted tokens; ``codebooks``, a list of ``{name, size, used, perplexity}``; ``first_packet_seconds``, a list
        of how long it took each time until the first samples could be played (s).
        """
        return None

    def align(self, batch: Mapping[str, Any], outputs: Sequence[str]) -> list[list[tuple[str, float, float]]] | None:
        """(token, start, end) in seconds for each output, where the task can tell; reports show it."""
        return None
