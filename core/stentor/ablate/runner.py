"""Runs a plan: what is done is kept, the rest is launched, then everything is compared and written down."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from stentor.ablate import cell as cells
from stentor.ablate import tables
from stentor.ablate.launch import How, launch
from stentor.ablate.plan import Plan
from stentor.ablate.summary import Summary, summarise
from stentor.data.atomic import replacing
from stentor.errors import StentorError
from stentor.evaluate.journal import write_json
from stentor.report import ablation_report


def run(plan: Plan, how: How) -> Summary:
    """Run what is not done yet, and write ``report.html``, ``table.json`` and ``table.md`` into the plan's folder.

    Args:
        plan: the grid.
        how: with which launcher.

    Raises:
        StentorError: when the folder holds the ablation of another recipe, or the launcher cannot be had.
    """
    _claim(plan)
    todo = [cell.folder for cell in plan.cells if not cells.finished(cell.folder)]
    if todo:
        with _watched([cell.folder for cell in plan.cells]):
            launch(todo, plan.folder / "launcher", how)
    return write(plan)


def write(plan: Plan) -> Summary:
    """Compare what there is and write the report and the tables."""
    summary = summarise(plan)
    write_json(plan.folder / "table.json", tables.as_json(summary))
    with replacing(plan.folder / "table.md") as temporary:
        temporary.write_text(tables.as_markdown(summary), "utf-8")
    ablation_report.write(summary, plan.folder / "report.html")
    return summary


def _claim(plan: Plan) -> None:
    known = cells.read(plan.folder / "ablation.json").get("recipe", plan.recipe)
    if known != plan.recipe:
        told = f"it holds an ablation of '{known}'; give another folder with --run."
        raise StentorError(told, path=str(plan.folder), suggestion=None)
    write_json(plan.folder / "ablation.json", _plain(asdict(plan)))
    for cell in plan.cells:
        write_json(cell.folder / cells.ASKED, {"recipe": plan.recipe, "overrides": list(cell.overrides)})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, Path) else value


@contextmanager
def _watched(folders: Sequence[Path]) -> Iterator[None]:
    """A bar of finished cells, fed from their folders, so that any launcher will do."""
    stop = threading.Event()

    def watch() -> None:
        with tqdm(total=len(folders), desc="cells", unit="cell") as bar:
            while True:
                ended = stop.wait(1.0)
                ready = sum((folder / cells.OUTCOME).exists() for folder in folders)
                if ready != bar.n:
                    bar.n = ready
                    bar.refresh()
                if ended:
                    return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()
