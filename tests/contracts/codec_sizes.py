"""Folders with the ``config.json`` of tiny codecs of `transformers`: all that constructing one needs."""

import json
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tts"))

from tiny_codecs import CONFIGS

_FOLDERS = tempfile.TemporaryDirectory(prefix="codec-sizes-")


def tiny(kind):
    """The folder for a codec of `kind`."""
    place = Path(_FOLDERS.name) / kind
    place.mkdir(exist_ok=True)
    (place / "config.json").write_text(json.dumps({"model_type": kind, **CONFIGS[kind]}))
    return str(place)
