"""Every registered component of every kind under its contract; nobody can forget one.

`SMALL` holds a small configuration where the defaults are big, `SOURCES` writes what a corpus reads. What is in neither
runs with its defaults.
"""

import pytest
from codec_sizes import tiny
from corpus_sources import SOURCES

from stentor.errors import StentorError
from stentor.plugins import installed
from stentor.testing import contract_for

SMALL = {
    ("backbone", "causal-lm"): {"dim": 32, "layers": 2, "heads": 2},
    ("corpus", "commands"): {
        "utterances": 4,
        "valid": 1,
        "heldout_sentences": 1,
        "heldout_voice": 1,
        "voices": ("espeak:en-us", "espeak:en-us+f2"),
        "unseen_voice": "hibari",
        "workers": 1,
    },
    ("corpus", "phrases"): {
        "clips": 3,
        "valid": 1,
        "heldout": 1,
        "voices": ("espeak:en-us", "espeak:en-us+f2"),
        "unseen_voice": "hibari",
        "workers": 1,
    },
    ("corpus", "spoken-questions"): {"clips": 3, "valid": 1, "heldout": 1, "workers": 1},
    ("corpus", "styles"): {
        "utterances": 5,
        "valid": 1,
        "heldout_sentences": 1,
        "heldout_styles": 2,
        "heldout_spans": 2,
        "heldout_whisper": 1,
        "heldout_voice": 2,
        "heldout_open": 1,
        "main": "espeak:en-us",
        "voices": ("espeak:en-us+f2", "espeak:en-us~0.9"),
        "unseen_voice": "hibari",
        "workers": 1,
    },
    ("codec", "fsq"): {"dim": 32, "layers": 1, "inner": 32, "inner_layers": 1},
    ("codec", "rvq"): {"size": 32, "dim": 32, "layers": 1, "inner": 32, "inner_layers": 1},
    ("task", "neural-codec"): {"adversarial_after": 0.0, "channels": 4},
    ("vocoder", "vocos"): {"dim": 32, "layers": 2},
    ("vocoder", "source-filter"): {"dim": 32, "layers": 2},
    ("vocoder", "hifigan"): {"channels": 32, "kernels": (3, 5)},
    ("vocoder", "griffin-lim"): {"iterations": 4},
    ("task", "vocoder"): {"adversarial_after": 0.0, "channels": 4},
    ("codec", "mimi"): {"weights": tiny("mimi"), "codebooks": 3},
    ("codec", "encodec"): {"weights": tiny("encodec"), "codebooks": 3},
    ("codec", "dac"): {"weights": tiny("dac")},
    ("codec", "dual"): {"streams": "semantic", "semantic": 16, "block": 0.24, "left": 0.24, "right": 0.12},
    ("acoustic", "flow-dit"): {"dim": 32, "layers": 2, "heads": 2, "hidden": 32, "steps": 2},
    ("acoustic", "flow-unet"): {"dim": 32, "layers": 1, "heads": 2, "hidden": 32, "steps": 2},
    ("filter", "metric"): {"metric": "speaker-similarity"},
    ("corpus", "lm-text"): {"rows": 20, "chat": 10, "valid": 5},
    ("judge", "openai"): {"retries": 0},
    ("task", "ppo"): {"warmup": 0},
}
TASK_SECTIONS = {
    "encoder": {"name": "whisper"},
    "adapter": {"name": "stack", "hidden": 32},
    "backbone": {"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
    "text": {"name": "characters"},
    "codec": {"name": "dual", "streams": "semantic", "semantic": 16},
    "vocoder": {"name": "vocos", "dim": 32, "layers": 2},
}
# A model that is frozen at its random beginning learns through its adapter alone: it needs more width.
OWN = {
    "aligned-lm": {"backbone": {"name": "causal-lm", "dim": 128, "layers": 2, "heads": 2}},
    "speaking-lm": {
        "codec": {"name": "fsq", "dim": 32, "layers": 1, "inner": 32, "inner_layers": 1},
        "acoustic": {"name": "flow-dit", "dim": 32, "layers": 2, "heads": 2, "hidden": 32, "steps": 1},
        "vocoder": {"name": "griffin-lim", "iterations": 2},
    },
    "flow": {
        "codec": {"name": "fsq", "dim": 32, "layers": 1, "inner": 32, "inner_layers": 1},
        "acoustic": {
            "name": "flow-dit",
            "dim": 32,
            "layers": 1,
            "heads": 2,
            "hidden": 32,
            "steps": 2,
            "variation": 0.0,
        },
        "vocoder": {"name": "griffin-lim", "iterations": 2},
    },
    "neural-codec": {"codec": {"name": "fsq", "dim": 32, "layers": 1, "inner": 32, "inner_layers": 1}},
}
EXPECTED_FAILED: dict[tuple[str, str], dict[str, str]] = {}


def contract_of(entry):
    """A test class for one component."""
    base = contract_for(entry.kind, entry.name)
    name = "Test" + "".join(part.capitalize() for part in (*entry.kind.split("-"), *entry.name.split("-")))
    key = (entry.kind, entry.name)
    body = {"name": entry.name, "config": SMALL.get(key, {}), "expected_failed": EXPECTED_FAILED.get(key, {})}
    if key in SOURCES:
        body["write_source"] = lambda self, folder: SOURCES[key](folder)
    if entry.kind == "task":
        roles = entry.load().roles
        sections = TASK_SECTIONS | OWN.get(entry.name, {})
        body["sections"] = {role: sections[role] for role in roles if role in sections}
    made = type(name, (base,), body)
    return name, made if usable(made) else pytest.mark.skip(reason=usable.reason)(made)


def usable(contract):
    """Whether what the component needs (an extra, a program) is installed; if not, `usable.reason` says what is."""
    try:
        instance = contract()
        component = instance.build()
        if contract.kind == "voice":
            component.speak("yes")
    except StentorError as error:
        usable.reason = f"{contract.kind} '{contract.name}' cannot work here: {error}"
        return not any(lack in str(error) for lack in ("not installed", "not on the PATH", "no run is named"))
    except Exception:  # its checks report this
        return True
    return True


ENTRIES = list(installed().registry.entries())
for _entry in ENTRIES:
    globals().__setitem__(*contract_of(_entry))


def test_everything_registered_is_here():
    classes = [value for name, value in globals().items() if name.startswith("Test") and hasattr(value, "kind")]
    assert {(one.kind, one.name) for one in classes} == {(entry.kind, entry.name) for entry in ENTRIES}


def test_no_plugin_failed_to_load():
    assert installed().failures == []


def test_lists_name_what_exists():
    registered = {(entry.kind, entry.name) for entry in ENTRIES}
    origins = {entry.origin.plugin for entry in ENTRIES}
    listed = set(SMALL) | set(EXPECTED_FAILED) | set(SOURCES)
    assert listed <= registered or "asr" not in origins
