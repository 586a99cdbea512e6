"""Recordings inside Debian packages, fetched and unpacked into a folder: no root needed, nothing installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from stentor.errors import StentorError

_PATIENCE = 600  # seconds for one call of apt


def fetch_package(name: str, folder: Path) -> Path:
    """Download Debian package `name` and unpack it.

    Args:
        name: of the package, e.g. ``pocketsphinx-testdata``.
        folder: where unpacked packages are kept; fetched once, found again afterwards.

    Returns:
        The root of the unpacked tree, ``folder/name``; its files lie under ``usr/share``.

    Raises:
        StentorError: when there is no apt, no network or no such package.
    """
    target = Path(folder).resolve() / name
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}-") as scratch:
        archive = _download(name, Path(scratch))
        unpacked = Path(scratch) / "tree"
        _run(["dpkg-deb", "-x", str(archive), str(unpacked)], Path(scratch))
        os.replace(unpacked, target)
    return target


def _download(name: str, folder: Path) -> Path:
    """The package's archive; with package lists of our own where the machine has none."""
    trouble = _run(["apt-get", "download", name], folder, check=False)
    if trouble:
        options = _private_lists(folder)
        _run(["apt-get", *options, "update"], folder, check=False)
        trouble = _run(["apt-get", *options, "download", name], folder, check=False)
    found = sorted(folder.glob("*.deb"))
    if trouble or not found:
        raise StentorError(
            f"Debian package '{name}' cannot be downloaded: {trouble or 'apt-get left no file'}.",
            suggestion=f"Connect to a Debian mirror, or install it with: apt-get install {name}",
        )
    return found[0]


def _private_lists(folder: Path) -> list[str]:
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    settings = {"Dir::State": folder / "state", "Dir::State::status": "/var/lib/dpkg/status",
                "Dir::Cache": folder / "cache", "Debug::NoLocking": 1}  # fmt: skip
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _run(command: Sequence[str], folder: Path, *, check: bool = True) -> str:
    """Run `command` in `folder`; what went wrong in one line, or nothing."""
    if shutil.which(command[0]) is None:
        raise StentorError(f"'{command[0]}' is not on the PATH, and Debian packages cannot be had without it.",
                           suggestion="Use a Debian or Ubuntu machine, or give a folder with the files.")  # fmt: skip
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer in {_PATIENCE} s"
    if done.returncode == 0:
        return ""
    lines = [line.removeprefix("E: ").strip() for line in done.stderr.splitlines() if line.startswith("E: ")]
    trouble = (lines or [f"exit status {done.returncode}"])[-1].rstrip(".")
    if check:
        raise StentorError(f"'{' '.join(command)}' failed: {trouble}.")
    return trouble
