"""How a component says that one of its settings is another component."""

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
