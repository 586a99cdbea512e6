"""How a component or settings class says that one of its settings is another component."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ComponentOf:
    """Marks a setting whose value is a component of `kind`, by name in the registry.

    Used in an annotation, alone or inside a list or mapping::

        def __init__(self, *, reward: Annotated[Mapping[str, Any], ComponentOf("reward")]) -> None: ...

    In YAML the value is a mapping ``{name: wer, ...}`` or the bare name ``wer``; the constructor is given the mapping,
    checked and with every default filled in, and hands it to `Registry.build`.
    """

    kind: str


@dataclass(frozen=True)
class NameOf:
    """Marks a text setting that must be the name of a component of `kind`, with its default settings.

    Used in an annotation: ``normaliser: Annotated[str, NameOf("normaliser")] = "english"``.
    """

    kind: str
