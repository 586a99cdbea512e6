"""A run from beginning to end: `fit` begins one, `resume` goes on with it, `load` gives what came of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.config import Recipe
from stentor.data import quarantine
from stentor.data.atomic import replacing
from stentor.errors import StentorError
from stentor.model.weights import beside
from stentor.plugins import registry
from stentor.train import checkpoint, parameters, randomness, tracking, weights
from stentor.train.assembly import assemble, class_of
from stentor.train.checkpoint import Checkpoint
from stentor.train.environment import environment, fingerprints
from stentor.train.initialise import Parent, exchange, initialise
from stentor.train.schedule import spent
from stentor.train.settings import TrainSettings

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from stentor.data.utterance import Utterance
    from stentor.interfaces.task import Task
    from stentor.train.batches import Batches

FIXED = "fixed.safetensors"
EMBEDDED = "pretrained"
"""Where an export has the pretrained weights that it embeds; a run has none."""
_BEGIN = checkpoint.place(Path(), 0).name


def fit(recipe: Recipe, folder: str | Path, *, progress: bool = True) -> bool:
    """Train a recipe from its beginning.

    Args:
        recipe: composed and checked.
        folder: of the run; must not hold one already.
        progress: whether to show bars.

    Returns:
        Whether the budget is spent; False when the run was asked to stop (Ctrl-C, SIGTERM) and can be resumed.

    Raises:
        StentorError: for bad data, a folder in use, or a loss that is not finite.
    """
    from stentor.train.batches import check_data, training_rows, training_texts
    from stentor.train.trainer import trainer_for

    folder = Path(folder)
    if _first_process() and (folder / "config.yaml").exists():
        raise StentorError("it holds a run already.", path=str(folder),
                           suggestion=f"Go on with it: stentor train --resume {folder}")  # fmt: skip
    data, settings = recipe.settings("data"), recipe.settings("train")
    rows = training_rows(data)
    parent = _parent(settings)
    randomness.seed_all(recipe.seed)
    if parent is None:
        task = assemble(recipe.config, texts=training_texts(data, rows))
    else:
        task = assemble(recipe.config, state=parent.state)
    inventory, provenance = prepare(task, settings, parent, rows)
    # what can be refused is refused before there is a folder: the same command, mended, then begins in it
    trainer, _ = trainer_for(settings), parameters.optimiser(task, settings)
    if _first_process():
        check_data(data, task.sample_rate)
    batches = _batches(recipe, task, rows, progress)
    if _first_process():
        write_folder(folder, recipe, task, inventory, provenance, data=fingerprints(data))
    try:
        return _train(recipe, task, folder, inventory, batches, trainer=trainer, progress=progress)
    except Exception:
        _give_back(folder)
        raise


def resume(folder: str | Path, *, progress: bool = True) -> bool:
    """Go on with a run from its newest sound checkpoint; with a budget in steps, as if it had never stopped.

    Returns:
        Whether the budget is spent.

    Raises:
        StentorError: when the folder holds no run, or its manifests have changed since.
    """
    from stentor.train.batches import training_rows
    from stentor.train.trainer import trainer_for

    folder = Path(folder)
    recipe = _recipe(folder)
    settings = recipe.settings("train")
    _check_data(folder, recipe)
    checkpoint.sweep(folder / "checkpoints")
    found = checkpoint.newest(folder / "checkpoints")
    if spent(settings, found.step, found.index["elapsed"]) >= 1:
        print(f"the run in {folder} has spent its budget: {found.step} steps", flush=True)
        return True
    task, inventory = _rebuild(folder, recipe, found)
    batches = _batches(recipe, task, training_rows(recipe.settings("data")), progress)
    trainer = trainer_for(settings)
    return _train(recipe, task, folder, inventory, batches, trainer=trainer, found=found, progress=progress)


def load(
    folder: str | Path,
    step: int | None = None,
    *,
    swaps: Mapping[str, str | Path] | None = None,
    changes: Sequence[str] = (),
) -> tuple[Recipe, Task]:
    """The recipe and the trained task of a run, in evaluation mode.

    Args:
        folder: of the run.
        step: of the checkpoint; None takes the best one where the recipe sets ``train.keep_best`` and the validation
            set was scored, else the newest sound one.
        swaps: glob over tensor names -> run to take these tensors from instead, e.g. another backbone.
        changes: of its decoder, e.g. ``decoder=ctc-beam``; see `Recipe.exchanged`.

    Raises:
        StentorError: when there is no such run or checkpoint, or pretrained weights are not those it was trained with.
    """
    folder = Path(folder)
    recipe = _recipe(folder).exchanged(changes) if changes else _recipe(folder)
    task, _ = _rebuild(folder, recipe, _found(recipe, folder, step))
    for pattern, other in (swaps or {}).items():
        exchange(task, pattern, _as_parent(Path(other)))
    return recipe, task.eval()


def chosen(folder: Path) -> tuple[Recipe, Checkpoint]:
    """The recipe of a run and the checkpoint that `load` takes.

    Raises:
        StentorError: when there is none.
    """
    recipe = _recipe(folder)
    return recipe, _found(recipe, folder)


def state_of(folder: Path) -> dict[str, Any]:
    """What `Task.state` of a run gave: tokenizers and vocabularies.

    Raises:
        StentorError: when the folder holds none.
    """
    found: dict[str, Any] = _read_json(folder / "task.json")
    return found


def _found(recipe: Recipe, folder: Path, step: int | None = None) -> Checkpoint:
    """The checkpoint of `step`; None is the best one that was kept, else the newest."""
    kept = folder / "checkpoints"
    if step is not None:
        return checkpoint.read(checkpoint.place(kept, step))
    best = checkpoint.best(kept, _score(recipe)) if recipe.settings("train").keep_best else None
    return best or checkpoint.newest(kept)


def _score(recipe: Recipe) -> Callable[[Mapping[str, float]], float | None]:
    """What the best checkpoint of a run is chosen by."""
    from stentor.train.validation import best_of

    names = class_of("task", recipe.config["task"], path="task").metrics
    metrics = {name: registry().build("metric", name) for name in names}
    return partial(best_of, metrics)


def prepare(
    task: Task, settings: TrainSettings, parent: Parent | None = None, rows: Sequence[Utterance] = ()
) -> tuple[weights.Inventory, dict[str, dict[str, Any]]]:
    """Read pretrained weights, then those of the parent run, freeze, acquaint the task with its training rows, and sort
    out which tensors are kept how."""
    found, pretrained = weights.load_pretrained(task)
    provenance: dict[str, dict[str, Any]] = {**found}
    parameters.freeze(task, settings.freeze)
    if settings.lora.rank:
        pretrained = _adapt(task, settings, pretrained)
    if parent is not None:
        changed, provenance["initialise"] = initialise(task, parent)
        pretrained -= changed
    if rows:
        task.acquaint(rows)
    return weights.take_stock(task, pretrained), provenance


def _parent(settings: TrainSettings) -> Parent | None:
    """The run that `train.initialise` names."""
    if not settings.initialise:
        return None
    folder = Path(settings.initialise)
    try:
        return _as_parent(folder)
    except StentorError as error:
        told = f"the run '{folder}' cannot be begun with: {error.problems[0].message}"
        raise StentorError(told, path="train.initialise", value=settings.initialise) from error


def _as_parent(folder: Path) -> Parent:
    """The weights and vocabularies of a run, for another to take over."""
    found = _found(_recipe(folder), folder)
    task, _ = _rebuild(folder, _recipe(folder), found)
    return Parent(folder, found.step, _read_json(folder / "task.json"), weights.tensors(task))


def _adapt(task: Task, settings: TrainSettings, pretrained: set[str]) -> set[str]:
    """Put LoRA on the backbones; the names of pretrained tensors, where they lie now."""
    from stentor.interfaces.backbone import Backbone
    from stentor.model import lora

    for backbone in [module for module in task.modules() if isinstance(module, Backbone) and module.adaptable]:
        lora.apply(backbone, settings.lora)
    renamed = {name.replace(".base_layer.", "."): name for name in weights.tensors(task)}
    return {renamed[name] for name in pretrained}


def _train(
    recipe: Recipe,
    task: Task,
    folder: Path,
    inventory: weights.Inventory,
    batches: Batches,
    *,
    trainer: Trainer,
    found: Checkpoint | None = None,
    progress: bool = True,
) -> bool:
    from stentor.train.after_step import AfterStep
    from stentor.train.module import Training
    from stentor.train.validation import Validation

    settings: TrainSettings = recipe.settings("train")
    first = _first_process()
    trackers = _trackers(folder, settings, recipe, found.step if found else 0) if first else []
    after = AfterStep(
        folder / "checkpoints",
        settings,
        inventory,
        trackers,
        Validation(batches, settings.valid_items, task.metrics),
        progress=progress and first,
    )
    module = Training(task, settings, batches, after, seed=recipe.seed, checkpoint=found)
    status = "failed"
    try:
        trainer.fit(module)
        status = "interrupted" if after.interrupted else "done"
    finally:
        task.finished()
        after.close()
        for tracker in trackers:
            tracker.close(status)
        if first and batches.rejected():
            quarantine.write(folder / "quarantine.jsonl", batches.rejected())
    if after.interrupted and first:
        print(f"interrupted at step {module.place.step}; go on with: stentor train --resume {folder}", flush=True)
    return not after.interrupted


def _trackers(folder: Path, settings: TrainSettings, recipe: Recipe, step: int) -> list[tracking.Tracker]:
    tags = {"stentor.recipe": recipe.name, "stentor.folder": str(folder)}
    return tracking.trackers(folder, settings, tracking.flat(recipe.config), tags, step=step)


def write_folder(
    folder: Path,
    recipe: Recipe,
    task: Task,
    inventory: weights.Inventory,
    provenance: Mapping[str, Any],
    *,
    data: Mapping[str, Any],
) -> None:
    """Everything of the run folder that does not change while training; ``config.yaml`` last."""
    sourced = weights.combined(weights.digests(task, inventory.sourced))
    told = {"components": provenance, "frozen": {"tensors": list(inventory.sourced), "sha256": sourced}}
    found = {
        "environment.json": environment(),
        "data.json": data,
        "provenance.json": told,
        "task.json": task.state(),
    }
    for name, value in found.items():
        _write(folder / name, json.dumps(value, indent=1, ensure_ascii=False))
    if inventory.fixed:
        with replacing(folder / FIXED) as temporary:
            weights.save(temporary, weights.tensors(task), inventory.fixed)
    begin = {"step": 0, "next": {"epoch": 0, "position": 0}, "elapsed": 0.0, "metrics": {}}
    tensors = weights.tensors(task)
    checkpoint.write(folder / "checkpoints", begin, {}, lambda path: weights.save(path, tensors, inventory.changing))
    _write(folder / "config.yaml", recipe.to_yaml())


def _rebuild(folder: Path, recipe: Recipe, found: Checkpoint) -> tuple[Task, weights.Inventory]:
    """The task as it was at a checkpoint."""
    randomness.seed_all(recipe.seed)
    with beside(folder / EMBEDDED):
        task = assemble(recipe.config, state=_read_json(folder / "task.json"))
        inventory, _ = prepare(task, recipe.settings("train"))
    inventory = inventory.with_sourced(_read_json(folder / "provenance.json", "frozen", "tensors"))
    sourced = weights.combined(weights.digests(task, inventory.sourced))
    if _read_json(folder / "provenance.json", "frozen", "sha256") != sourced:
        raise StentorError(
            "the pretrained weights that it was trained with have changed: their hash differs from the one in "
            "provenance.json.",
            path=str(folder),
            suggestion="Put back the source that provenance.json names.",
        )
    if inventory.fixed:
        weights.restore(task, folder / FIXED, inventory.fixed)
    weights.restore(task, found.weights, inventory.changing)
    return task, inventory


def _recipe(folder: Path) -> Recipe:
    if not (folder / "config.yaml").is_file():
        raise StentorError("it holds no run (there is no config.yaml in it).", path=str(folder))
    return Recipe.from_file(folder / "config.yaml")


def _check_data(folder: Path, recipe: Recipe) -> None:
    """Refuse to go on with other data than the run began with."""
    for name, now in fingerprints(recipe.settings("data")).items():
        if _read_json(folder / "data.json", name, "sha256") != now["sha256"]:
            raise StentorError("the manifest has changed since the run began; begin a new run, or put it back.",
                               path=now["manifest"])  # fmt: skip


def _read_json(path: Path, *place: str) -> Any:
    """What a JSON file of the run holds under the keys `place`.

    Raises:
        StentorError: when the file is missing, is no JSON, or holds nothing there.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for key in place:
            found = found[key]
    except (OSError, ValueError, LookupError, TypeError) as cause:
        told = f"it holds nothing under '{'.'.join(place)}'" if isinstance(cause, LookupError | TypeError) else cause
        raise StentorError(f"this file of the run is missing or damaged: {told}.", path=str(path)) from cause
    return found


def _batches(recipe: Recipe, task: Task, rows: list[Utterance], progress: bool) -> Batches:
    from stentor.train.batches import Batches

    encoders = task.encoder_sections(recipe.config)
    return Batches(task, recipe.settings("data"), rows, encoders, seed=recipe.seed, progress=progress)


def _give_back(folder: Path) -> None:
    """After a failure: let another run begin in a folder where nothing was learned."""
    logged = folder / "metrics.jsonl"
    untrained = not logged.exists() or logged.stat().st_size == 0
    if _first_process() and untrained and [path.name for path in checkpoint.steps(folder / "checkpoints")] == [_BEGIN]:
        (folder / "config.yaml").unlink(missing_ok=True)


def _first_process() -> bool:
    """Whether this is the process that writes: Lightning and torchrun number the others."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"))


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
