"""Stentor: a modular speech-language toolkit.

Importing this package is cheap: it loads neither torch nor any plugin.
"""

import pluggy

__version__ = "0.1.0"

hookimpl = pluggy.HookimplMarker("stentor")
"""Marks a plugin's function as the implementation of a hook of `stentor.hooks`."""

__all__ = ["__version__", "hookimpl"]
