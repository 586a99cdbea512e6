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
        state = "is not installed" if _is_absent(cause, module) else f"cannot be imported ({cause})"
        raise StentorError(
            f"'{module}' is needed here and {state}.",
            suggestion=f"Install it with: pip install '{distribution}[{extra}]'",
        ) from cause


def _is_absent(cause: ImportError, module: str) -> bool:
    return isinstance(cause, ModuleNotFoundError) and module.partition(".")[0] == cause.name
