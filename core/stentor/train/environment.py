"""What a run stood on: plugins, versions, git state, machine, manifests."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stentor import __version__
from stentor.data import manifest
from stentor.data.settings import DataSettings
from stentor.plugins import installed

_PACKAGES = ("torch", "lightning", "transformers", "lhotse", "numpy", "safetensors", "soundfile", "peft", "mlflow")


def environment() -> dict[str, Any]:
    """Contents of ``environment.json``."""
    import torch

    from stentor.evaluate import machine

    return {
        "stentor": __version__,
        "plugins": [
            {"name": origin.plugin, "distribution": origin.distribution, "version": origin.version}
            for origin in installed().loaded
        ],
        "versions": {"python": platform.python_version()} | _versions(),
        "git": _git(),
        "machine": machine.describe(torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def fingerprints(settings: DataSettings) -> dict[str, dict[str, str]]:
    """Contents of ``data.json``: path and hash of every manifest that training reads."""
    named = {"train": settings.train, "valid": settings.valid}
    return {name: {"manifest": path, "sha256": manifest.fingerprint(path)} for name, path in named.items() if path}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _git() -> dict[str, Any] | None:
    """Commit and whether there are changes, of the repository in the working directory; None outside of one."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, timeout=10)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None
