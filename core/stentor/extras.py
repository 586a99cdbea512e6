"""Optional dependencies: import one, or say which extra brings it."""

from __future__ import annotations

import importlib
from types import ModuleType

from stentor.errors import StentorError


def require(module: str, extra: str, *, distribution: str = "stentor") -> ModuleType:
    """Import `module`, or raise `StentorError` that names the extra to install.

    Args:
        module: the dotted module name, e.g. ``mlflow``.
        extra: the extra of `distribution` that installs it.
        distribution: whose extra it is.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise StentorError(
            f"'{module}' is needed here and is not installed ({cause}).",
            suggestion=f"Install it with: pip install '{distribution}[{extra}]'",
        ) from cause
