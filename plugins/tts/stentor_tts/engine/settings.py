"""How the data engine works, from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from stentor.config import ComponentOf, ranges, reading, schema
from stentor.config.checking import Checker, plain
from stentor.errors import StentorError
from stentor.plugins import registry


@dataclass(frozen=True)
class EngineSettings:
    """How to synthesise.

    Attributes:
        voices: teachers, as `stentor.data.voices.named` reads them; one that is listed twice speaks twice as much.
        takes: how many of the voices say each text; 0: all of them.
        styled: share of the takes at another rate or level than neutral, 0 to 1.
        rewrite: what is done to the texts first, in order.
        filters: what a take has to pass, in order; the cheapest first saves most.
        group: takes that are made and judged together; a kill loses at most one group per process. Recognisers hear the
            takes of a group in one window, which is faster, and they hear single short takes worse.
        language: BCP-47 tag of the texts.
        valid: share of the source texts whose takes go to split ``valid``; all forms of a text stay together.
        seed: of what is drawn.
    """

    voices: tuple[str, ...] = ("hibari",)
    takes: int = 1
    styled: float = 0.0
    rewrite: list[Annotated[Mapping[str, Any], ComponentOf("rewriter")]] = field(default_factory=list)
    filters: list[Annotated[Mapping[str, Any], ComponentOf("filter")]] = field(default_factory=list)
    group: int = 16
    language: str = "en"
    valid: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        ranges.check(self, {
            "voices": (bool(self.voices), "one voice at least"),
            "takes": ranges.least(self.takes, 0),
            "group": ranges.least(self.group, 1),
            "styled": ranges.share(self.styled),
            "valid": ranges.share(self.valid),
        })  # fmt: skip


def read(path: Path | None, changes: Mapping[str, Any]) -> EngineSettings:
    """Settings out of a YAML file, with `changes` over them; every default filled in.

    Raises:
        StentorError: for everything that is wrong, with the line where it is written.
    """
    document = reading.read(path) if path else reading.Document(Path("command line"))
    checker = Checker(registry())
    given = {**document.data, **changes}
    found = checker.record(given, schema.of_dataclass(EngineSettings), "the data engine", "")
    problems = [replace(one, path=one.path.lstrip("."), source=document.where(one.path.lstrip(".")) if path else "")
                for one in checker.problems]  # fmt: skip
    if document.problems or problems:
        raise StentorError(problems=[*document.problems, *problems])
    return EngineSettings(**found)


def as_plain(settings: EngineSettings) -> dict[str, Any]:
    """The settings as plain data, for results and fingerprints."""
    told: dict[str, Any] = plain(settings)
    return told
