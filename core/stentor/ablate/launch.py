"""Runs cells through Hydra's launcher interface, each in a process of its own.

Any installed launcher plugin works (``joblib``, ``submitit_slurm``, ...); without one, our own runs a given number of
cells at a time on this machine.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig

from stentor.ablate import cell
from stentor.errors import StentorError
from stentor.evaluate.journal import write_json

_PATIENCE = 120
"""How long (s) a cell may take to save itself after Ctrl-C."""


class Processes(Launcher):
    """`jobs` jobs at a time on this machine; they start processes themselves, so threads suffice here."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.context, self.task, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        configs = [self.context.config_loader.load_sweep_config(self.config, list(words)) for words in job_overrides]
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                returned = list(pool.map(self.task, configs))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [
            JobReturn(overrides=words, cfg=config, status=JobStatus.COMPLETED, _return_value=value)
            for words, config, value in zip(job_overrides, configs, returned, strict=True)
        ]


@dataclass(frozen=True)
class How:
    """How cells are launched.

    Attributes:
        launcher: name of a Hydra launcher plugin; empty: our own.
        settings: of the plugin, ``key=value``.
        jobs: cells at a time with our own.
        command: runs one cell; its folder is added to it.
    """

    launcher: str = ""
    settings: tuple[str, ...] = ()
    jobs: int = 1
    command: tuple[str, ...] = (sys.executable, "-m", "stentor.ablate.cell")


def launch(folders: Sequence[Path], scratch: Path, how: How) -> None:
    """Run the cell in each folder; their outcomes are in the folders.

    Args:
        folders: of the cells.
        scratch: where launchers keep their own files.
        how: with which launcher.

    Raises:
        StentorError: when Hydra has no such launcher or refuses its settings.
    """
    silent = ["hydra/job_logging=none", "hydra/hydra_logging=none", "hydra.output_subdir=null"]
    fixed = [f"hydra.sweep.dir='{scratch}'", "hydra.sweep.subdir=${hydra.job.num}"]
    plugin = [f"hydra/launcher={how.launcher or 'basic'}", *(f"hydra.launcher.{word}" for word in how.settings)]
    task = partial(run_one, [str(folder) for folder in folders], list(how.command))
    try:
        loader = ConfigLoaderImpl(create_config_search_path(None))
        config = loader.load_configuration(None, [*silent, *fixed, *plugin], RunMode.MULTIRUN)
        context: Any = HydraContext(config_loader=loader, callbacks=Callbacks())
        given = {"hydra_context": context, "task_function": task, "config": config}
        if how.launcher:
            launcher: Launcher = Plugins.instance().instantiate_launcher(**given)
        else:
            launcher = Processes(how.jobs)
            launcher.setup(**given)
    except HydraException as error:
        raise StentorError(f"Hydra refuses the launcher: {str(error).splitlines()[0]}", path="--launcher") from error
    launcher.launch([[f"+cell={index}"] for index in range(len(folders))], initial_job_idx=0)


def run_one(folders: Sequence[str], command: Sequence[str], config: DictConfig) -> str:
    """One job: the cell that `config` numbers, as a process with its output in ``log.txt``."""
    folder = Path(folders[int(config.cell)])
    (folder / cell.OUTCOME).unlink(missing_ok=True)
    with (folder / "log.txt").open("ab") as log:
        code = _wait(subprocess.Popen([*command, str(folder)], stdout=log, stderr=subprocess.STDOUT))
    outcome = cell.read(folder / cell.OUTCOME)
    if not outcome:
        outcome = {"status": "failed", "error": f"its process ended with exit code {code} and left no outcome"}
        write_json(folder / cell.OUTCOME, outcome)
    return str(outcome["status"])


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait()
    except KeyboardInterrupt:  # the cell got the same signal and saves a checkpoint
        process.wait(_PATIENCE)
        raise
