"""The checks of `stentor doctor`, each an iterator of findings."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from stentor.cli.docline import file_of
from stentor.plugins import installed

NEEDED_DISK = 3 * 10**9
"""Bytes that a small corpus, its cached encoder outputs and a few runs take."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: ``broken`` stops the work, ``warning`` slows or limits it, ``absent`` is optional.
        what: what was found.
        mend: how to mend it.
        fix: mends it, and returns what it did; None when nothing can be done safely.
    """

    state: Literal["fine", "warning", "broken", "absent"]
    what: str
    mend: str = ""
    fix: Callable[[], str] | None = None


def python() -> Iterator[Finding]:
    """The interpreter."""
    yield Finding("fine", f"Python {'.'.join(map(str, sys.version_info[:3]))} in {sys.prefix}")
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        yield Finding("warning", "PYTHONDONTWRITEBYTECODE is set: what is not yet compiled is compiled at every start",
                      "unset PYTHONDONTWRITEBYTECODE")  # fmt: skip


def torch() -> Iterator[Finding]:
    """PyTorch: build, threads, and which precision the hardware is good at."""
    try:
        module = importlib.import_module("torch")
    except Exception as cause:  # a broken binary raises whatever the loader says
        yield Finding("broken", f"torch cannot be imported: {_line(cause)}", "pip install --force-reinstall torch")
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = module.get_num_threads()
    yield Finding("fine", f"torch {module.__version__}, {threads} threads on {cores} cores")
    if threads > cores:
        yield Finding("warning", "torch runs more threads than there are cores", f"export OMP_NUM_THREADS={cores}")
    if module.cuda.is_available():
        yield Finding("fine", f"GPU {module.cuda.get_device_name(0)}, CUDA {module.version.cuda}")
        return
    yield Finding("fine", "no GPU: training and decoding run on the CPU, in fp32")
    capability = module.backends.cpu.get_cpu_capability()
    if "AVX512" not in capability and "AMX" not in capability and "SVE" not in capability:
        yield Finding("warning", f"this CPU ({capability}) has no bf16 units: bf16 is tens of times slower than fp32",
                      "keep train.precision=auto, which takes fp32 here")  # fmt: skip


def torchaudio() -> Iterator[Finding]:
    """A torchaudio whose libraries want CUDA, beside a torch that has none, takes every importer down."""
    folder, torch_file = Path(file_of("torchaudio")).parent / "lib", file_of("torch")
    if not file_of("torchaudio"):
        return
    wrong = [path for path in sorted(folder.glob("*.so")) if wants_cuda(path)]
    has_cuda = any((Path(torch_file).parent / "lib").glob("libtorch_cuda*"))
    if not wrong or has_cuda:
        yield Finding("fine", "torchaudio fits this torch")
        return

    def fix() -> str:
        for path in wrong:
            path.unlink(missing_ok=True)
        return f"removed {len(wrong)} CUDA libraries of torchaudio"

    yield Finding("broken", f"{len(wrong)} libraries of torchaudio need CUDA, which this torch lacks: its import fails",
                  "stentor doctor --fix removes them; its Python part works without", fix)  # fmt: skip


def wants_cuda(library: Path) -> bool:
    """Whether a shared library names CUDA libraries among those it needs."""
    content = library.read_bytes()
    return b"libcudart.so" in content or b"libtorch_cuda.so" in content


def transformers() -> Iterator[Finding]:
    """The library that backbones and pretrained encoders come from."""
    try:
        module = importlib.import_module("transformers")
    except Exception as cause:  # it imports a good part of what is installed, so anything can go wrong
        yield Finding("broken", f"transformers cannot be imported: {_line(cause)}", "pip install 'transformers>=5.0'")
    else:
        yield Finding("fine", f"transformers {module.__version__}")


def plugins() -> Iterator[Finding]:
    """Which plugins were loaded, and which could not be."""
    found = installed()
    for origin in found.loaded:
        yield Finding("fine", str(origin))
    for failure in found.failures:
        name = failure.origin.distribution
        mend = f"pip install --upgrade --force-reinstall {name}, or leave it out: pip uninstall {name}" if name else ""
        yield Finding("broken", str(failure), mend)


def disk() -> Iterator[Finding]:
    """Whether this folder and the cache can be written to, and have room."""
    cache = Path.home() / ".cache"
    for folder, use in (
        (Path.cwd(), "this folder, where corpora and runs go"),
        (cache, "the cache of encoder outputs"),
    ):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            with tempfile.NamedTemporaryFile(dir=existing):
                pass
        except OSError as cause:
            yield Finding(
                "warning", f"{use}, cannot be written to: {cause.strerror} ({existing})", "work in another folder"
            )
            continue
        free = shutil.disk_usage(existing).free
        if free < NEEDED_DISK:
            yield Finding("warning", f"{use}, has only {free / 1e9:.1f} GB left ({existing})",
                          f"free {NEEDED_DISK / 1e9:.0f} GB, or work on another disk")  # fmt: skip
        else:
            yield Finding("fine", f"{use}: writable, {free / 1e9:.0f} GB free")


def extras() -> Iterator[Finding]:
    """Optional dependencies of the core and of every loaded plugin."""
    for distribution in sorted({origin.distribution for origin in installed().loaded} - {""}):
        for extra, names in sorted(_extras_of(distribution).items()):
            missing = [name for name in names if not _is_installed(name)]
            if missing:
                yield Finding("absent", f"extra '{extra}' of {distribution} (lacks {', '.join(missing)})",
                              f"pip install '{distribution}[{extra}]'")  # fmt: skip
            else:
                yield Finding("fine", f"extra '{extra}' of {distribution}")


def _extras_of(distribution: str) -> dict[str, list[str]]:
    from packaging.requirements import Requirement

    found: dict[str, list[str]] = {}
    for text in requires(distribution) or []:
        requirement = Requirement(text)
        marker = str(requirement.marker or "")
        if "extra ==" in marker:
            found.setdefault(
                marker.partition("extra ==")[2].strip().strip("'\"").split("'")[0].split('"')[0], []
            ).append(requirement.name)
    return found


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _line(cause: BaseException) -> str:
    return f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}"
