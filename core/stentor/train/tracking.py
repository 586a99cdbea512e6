"""Where metrics go: always ``metrics.jsonl``, and the trackers that the recipe names."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from stentor.data.atomic import replacing, writing
from stentor.errors import StentorError
from stentor.extras import require
from stentor.train import randomness
from stentor.train.settings import TrainSettings

METRICS = "metrics.jsonl"
_EVERY = 10.0
"""Seconds between writes to a tracker's store."""


class Tracker(Protocol):
    """Takes metrics by step."""

    def log(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def close(self, status: str) -> None: ...


class Lines:
    """``metrics.jsonl``: one line ``{"step": ..., "elapsed": ..., **metrics}`` for each logged step.

    Args:
        path: the file.
        step: where the run goes on; lines of later steps, which a kill left behind, are dropped.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        self.path = path
        kept = [line for line in (path.read_bytes().splitlines() if path.exists() else ()) if _before(line, step)]
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(line + b"\n" for line in kept))
        with writing(path):
            self._file = path.open("a", encoding="utf-8", buffering=1)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        with writing(self.path):
            self._file.write(json.dumps({"step": step, **metrics}) + "\n")

    def close(self, status: str) -> None:
        self._file.close()


class MLflow:
    """An MLflow run; a local sqlite store unless the recipe names a server.

    Args:
        folder: of the run; its ``tracking.json`` remembers the MLflow run, which a resumed run goes on with.
        settings: experiment and store.
        params: the resolved recipe, flat.
        tags: versions and the like.
    """

    def __init__(
        self, folder: Path, settings: TrainSettings, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self._mlflow = require("mlflow", "mlflow")
        store = settings.tracking_uri or f"sqlite:///{folder.resolve().parent / 'mlflow.db'}"
        self._client = self._mlflow.MlflowClient(store)
        self._waiting: list[Any] = []
        self._written = time.monotonic()
        memory = folder / "tracking.json"
        self.run = _remembered(memory, store) or self._begin(folder, settings, params, tags)
        with replacing(memory) as temporary:
            temporary.write_text(json.dumps({"store": store, "run": self.run}))

    def _begin(self, folder: Path, settings: TrainSettings, params: Mapping[str, Any], tags: Mapping[str, str]) -> str:
        found = self._client.get_experiment_by_name(settings.experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(settings.experiment)
        run = self._client.create_run(experiment, run_name=folder.name, tags=dict(tags)).info.run_id
        entities = [self._mlflow.entities.Param(key, str(value)[:6000]) for key, value in params.items()]
        for start in range(0, len(entities), 100):
            self._client.log_batch(run, params=entities[start : start + 100])
        return str(run)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metric = self._mlflow.entities.Metric
        self._waiting += [metric(name, value, now, step) for name, value in metrics.items()]
        if time.monotonic() - self._written > _EVERY:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        try:
            with randomness.untouched():
                while self._waiting:
                    self._client.log_batch(self.run, metrics=self._waiting[:1000])
                    del self._waiting[:1000]
        except Exception as cause:  # a store that is locked or away for a while is tried again later
            warnings.warn(f"MLflow's store refuses for now: {type(cause).__name__}: {cause}", stacklevel=2)

    def close(self, status: str) -> None:
        self._write()
        if self._waiting:
            return
        self._client.set_terminated(self.run, {"done": "FINISHED", "interrupted": "KILLED"}.get(status, "FAILED"))


class TensorBoard:
    """Event files in ``tensorboard/`` of the run folder."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard", "tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(folder / "tensorboard")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self, status: str) -> None:
        self._writer.close()


def trackers(
    folder: Path, settings: TrainSettings, params: Mapping[str, Any], tags: Mapping[str, str], *, step: int = 0
) -> list[Tracker]:
    """The trackers of a run. One that is not installed, or whose store fails, is told in one line and left out."""
    found: list[Tracker] = [Lines(folder / METRICS, step)]
    for name in settings.tracking:
        try:
            found.append(MLflow(folder, settings, params, tags) if name == "mlflow" else TensorBoard(folder))
        except StentorError as error:
            print(f"no {name}, {METRICS} has everything: {error}", file=sys.stderr, flush=True)
        except Exception as cause:  # a tracker's store may fail in its own ways; training does not depend on it
            reason = f"{type(cause).__name__}: {cause}"
            print(f"no {name}, {METRICS} has everything: {reason}", file=sys.stderr, flush=True)
    return found


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as ``{"train.lr": 0.001, ...}``."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def _before(line: bytes, step: int) -> bool:
    try:
        return int(json.loads(line)["step"]) <= step
    except (ValueError, KeyError, TypeError):  # a line that a kill cut short
        return False


def _remembered(memory: Path, store: str) -> str | None:
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return None
    return str(known["run"]) if known.get("store") == store else None
