"""Trains, kills and resumes in forked processes; prints what came of it as JSON. Run by `test_resume_after_kill`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import toy
from safetensors.torch import load_file

from stentor.train import checkpoint, weights
from stentor.train.run import fit, resume

STEPS = 10


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def forked(work: Callable[[], object], *, killed_after: Path | None = None) -> int:
    """Run `work` in a child process; the signal that ended it, or 0."""
    child = os.fork()
    if child:
        if killed_after:
            while not killed_after.exists() or len(killed_after.read_text().splitlines()) < 4:
                time.sleep(0.01)
            os.kill(child, signal.SIGKILL)
        return os.WTERMSIG(os.waitpid(child, 0)[1])
    try:
        work()
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def kill_at_batch(number: int) -> None:
    """In the middle of a step: the forward pass of the batch does not return."""
    original, calls = toy.ToyTask.training_loss, [0]

    def loss(self, batch):
        calls[0] += 1
        return die() if calls[0] > number else original(self, batch)

    toy.ToyTask.training_loss = loss


def slow() -> None:
    """Steps that take so long that a kill from outside falls between two of them, or into one."""
    original = toy.ToyTask.training_loss

    def loss(self, batch):
        time.sleep(0.1)
        return original(self, batch)

    toy.ToyTask.training_loss = loss


def kill_in_writing(where: str) -> None:
    """While the second checkpoint after the beginning is being written."""
    place, name = {
        "weights": (weights, "save_file"),
        "state": (torch, "save"),
        "sync": (checkpoint, "sync"),
        "rename": (os, "replace"),
        "prune": (checkpoint.shutil, "rmtree"),
    }[where]
    original = getattr(place, name)

    def deadly(*arguments, **named):
        named_step = "step-00000000" if where == "prune" else "step-00000006"
        if named_step not in str(arguments) or (where == "prune" and not Path(arguments[0]).exists()):
            return original(*arguments, **named)
        if where in ("weights", "state"):
            target = arguments[1]  # safetensors is given the path, torch the open file
            Path(target if isinstance(target, str) else target.name).write_bytes(b"half of it")
        die()

    setattr(place, name, deadly)


def final(folder: Path) -> dict:
    """Every number that training has changed."""
    last = folder / "checkpoints" / f"step-{STEPS:08d}"
    state = torch.load(last / "state.pt", weights_only=True)["optimizer"]["state"]
    moments = {f"{i}.{key}": value for i, one in state.items() for key, value in one.items()}
    return {"weights": load_file(last / "weights.safetensors"), "moments": moments,
            "next": json.loads((last / "checkpoint.json").read_text())["next"]}  # fmt: skip


def equal(one: dict, other: dict) -> bool:
    same = all(
        one[part].keys() == other[part].keys()
        and all(torch.equal(one[part][key], other[part][key]) for key in one[part])
        for part in ("weights", "moments")
    )
    return same and one["next"] == other["next"]


def scenario(folder: Path, recipe, expected: dict, *kills: Callable[[], None]) -> dict:
    """Kill as often as there are `kills`, then let it finish."""
    signals, kept = [], []
    for number, arm in enumerate(kills):
        work = (
            (lambda: fit(recipe, folder, progress=False)) if number == 0 else (lambda: resume(folder, progress=False))
        )
        outside = arm is slow
        signals.append(
            forked(
                lambda arm=arm, work=work: (arm(), work()), killed_after=folder / "metrics.jsonl" if outside else None
            )
        )
        kept.append([path.name for path in checkpoint.steps(folder / "checkpoints")])
    ended = forked(lambda: resume(folder, progress=False))
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {"signals": signals, "kept": kept, "ended": ended, "steps": steps, "equal": equal(expected, final(folder))}


def main(folder: Path, kinds: list[str]) -> dict:
    train = folder / "train.jsonl.gz"
    found = {}
    for kind in kinds:
        options = {
            "plain": {},
            "accumulate": {"accumulate": 3},
            "augmented": {"data": {"augment": {"speeds": [0.9, 1.1], "noise": 0.5}}},
            "workers": {"data": {"workers": 2, "augment": {"noise": 0.5}}},
            "cached": {"freeze": ["encoder.*"], "data": {"cache_folder": str(folder / "frames")}},
            "validated": {"valid": train, "valid_every": 2, "valid_items": 4, "keep_best": True},
        }[kind]
        recipe = toy.recipe(train, steps=STEPS, checkpoint_every=3, **options)
        forked(lambda recipe=recipe, kind=kind: fit(recipe, folder / f"{kind}-whole", progress=False))
        expected = final(folder / f"{kind}-whole")
        per_step = options.get("accumulate", 1)
        cases = {"mid-run": [lambda n=5 * per_step: kill_at_batch(n)]}
        if kind == "plain":
            cases |= {f"batch {n}": [lambda n=n: kill_at_batch(n)] for n in (0, 2, 3, 9)}
            cases |= {
                f"writing {w}": [lambda w=w: kill_in_writing(w)]
                for w in ("weights", "state", "sync", "rename", "prune")
            }
            cases["from outside"] = [slow]
            cases["three times"] = [lambda: kill_at_batch(4), lambda: kill_at_batch(1), lambda: kill_at_batch(4)]
        if kind == "accumulate":
            cases["between batches of a step"] = [lambda: kill_at_batch(13)]
        for name, kills in cases.items():
            place = folder / f"{kind}-{name.replace(' ', '-')}"
            found[f"{kind}: {name}"] = scenario(place, recipe, expected, *kills)
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    place = Path(sys.argv[1])
    fit(toy.recipe(toy.corpus(place), steps=1), place / "warm", progress=False)  # imports once, for all children
    print("RESULT " + json.dumps(main(place, sys.argv[2:])))
