"""The template of an outside plugin, written out by ``stentor plugin new``."""

from stentor.scaffold.writer import KINDS, write_plugin

__all__ = ["KINDS", "write_plugin"]
