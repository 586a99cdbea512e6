"""Policies: tasks that answer prompts with tokens, so that preferences and rewards can tune them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.sequence.grammar import Grammar
from stentor.sequence.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Prompts:
    """What a batch asks of a policy, one entry per row.

    Attributes:
        embeddings: what stands before each response, float [T, dim]; the gradient reaches what made them.
        asked: what rewards may read of each prompt: ``id``, ``reference`` where there is one, the row's custom fields.
        longest: tokens of the longest response to each prompt.
        grammar: which tokens may make up a response; several: one for each prompt.
        stop_ids: ids that end a response.
    """

    embeddings: Sequence[Tensor]
    asked: Sequence[Mapping[str, Any]]
    longest: Sequence[int]
    grammar: Grammar[Any] | Sequence[Grammar[Any]]
    stop_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.embeddings)

    def grammars(self, rows: Sequence[int]) -> list[Grammar[Any]]:
        """Which tokens may make up responses to the prompts `rows`."""
        told = self.grammar
        return [told if isinstance(told, Grammar) else told[row] for row in rows]

    def repeated(self, rows: Sequence[int]) -> Self:
        """The prompts `rows`, in that order, any of them as often as it is named."""
        embeddings = [self.embeddings[row] for row in rows]
        asked, longest = [self.asked[row] for row in rows], [self.longest[row] for row in rows]
        grammar = self.grammar if isinstance(self.grammar, Grammar) else self.grammars(rows)
        return replace(self, embeddings=embeddings, asked=asked, longest=longest, grammar=grammar)


class Policy:
    """What a task offers beside `stentor.interfaces.task.Task` when its responses can be preferred and rewarded.

    In evaluation mode the task asks and answers without chance: what it samples then is scored the same way again.

    Attributes:
        vocabulary: of the tokens that responses are made of; its blocks tell the modalities apart.
        hears: whether prompts are made of the audio of rows; where not, nobody encodes it to tune the policy.
    """

    vocabulary: Vocabulary
    hears: ClassVar[bool] = True

    @property
    @abstractmethod
    def backbone(self) -> Backbone:
        """What responses are sampled from."""

    @abstractmethod
    def ask(self, batch: Mapping[str, Any]) -> Prompts:
        """The prompts of a batch from the loader; `texts` are references and take no part in them."""

    @abstractmethod
    def tokens_of(self, response: Mapping[str, Any]) -> list[int]:
        """The ids of a response as manifests hold it, the stop id included: its ``tokens``, or those of its ``text``.

        Raises:
            StentorError: when it has nothing that this policy can say.
        """

    @abstractmethod
    def responses(
        self, prompts: Prompts, rows: Sequence[int], tokens: Sequence[Sequence[int]]
    ) -> Sequence[Mapping[str, Any]]:
        """What sampled ids mean, for rewards: ``text``, ``tokens``, and whatever the task makes of them.

        What is costly to make, as ``audio`` is, is made when a reward first asks for it (`LazyResponse`).

        Args:
            prompts: from `ask`.
            rows: which prompt each response answers.
            tokens: ids of each response, the stop id included where it came.
        """


class LazyResponse(Mapping[str, Any]):
    """A response of which some fields are made when they are first read.

    Args:
        told: the fields that are there.
        later: field -> what makes it; it is called once.
    """

    def __init__(self, told: Mapping[str, Any], later: Mapping[str, Callable[[], Any]]) -> None:
        self._told, self._later = dict(told), dict(later)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Fields that have not been made yet."""
        return tuple(self._later)

    @property
    def ready(self) -> dict[str, Any]:
        """The fields that are there."""
        return dict(self._told)

    def __getitem__(self, key: str) -> Any:
        if key in self._later:
            self._told[key] = self._later[key]()
            del self._later[key]
        return self._told[key]

    def __contains__(self, key: object) -> bool:
        return key in self._told or key in self._later

    def __iter__(self) -> Iterator[str]:
        yield from (*self._told, *self._later)

    def __len__(self) -> int:
        return len(self._told) + len(self._later)


def asked_of(batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`Prompts.asked` of a batch from the loader: each row's custom fields, its id, and its text as ``reference``."""
    customs = batch.get("custom") or [{} for _ in batch["texts"]]
    ids = batch.get("ids") or [""] * len(customs)
    rows = zip(ids, batch["texts"], customs, strict=True)
    return [{**custom, "id": name, "reference": text} for name, text, custom in rows]


def text_of(response: Mapping[str, Any]) -> str:
    """The ``text`` of a response.

    Raises:
        StentorError: when it has none.
    """
    found = response.get("text")
    if not isinstance(found, str):
        raise StentorError(f"a response needs 'text' or 'tokens', this has {', '.join(sorted(response)) or 'nothing'}.")
    return found
