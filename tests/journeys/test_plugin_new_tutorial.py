"""docs/plugins.md, run: its commands in order in a fresh folder, its files written, its outputs seen."""

import os
import re
import sys
from pathlib import Path

import pytest
from outside import make_environment, run

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def tools(folder, python):
    """A folder with `stentor`, `pytest` and `pip` of the environment, as an activated one has."""
    folder.mkdir()
    for name in ("stentor", "pytest"):
        (folder / name).write_text(f'#!/bin/sh\nexec {python} -m {name} "$@"\n')
    (folder / "pip").write_text(f'#!/bin/sh\nexec {sys.executable} -m pip --python {python} "$@" --no-index '
                                f'--no-deps --no-build-isolation --quiet\n')  # fmt: skip
    for tool in folder.iterdir():
        tool.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def bash(body, folder, path):
    done = run("bash", "-euo", "pipefail", "-c", f"cd {folder}\n{body}", PATH=path)
    return " ".join((done.stdout + done.stderr).split())


def write(body, folder):
    """A block that is a file, or a replacement in one."""
    first, rest = body.split("\n", 1)
    if first.startswith("# file: "):
        (folder / first.removeprefix("# file: ")).write_text(rest)
        return
    path = folder / first.removeprefix("# replace in: ")
    before, after = rest.strip().split("\n# with\n")
    text = path.read_text()
    assert text.count(before) == 1, f"'{before}' is not once in {path}"
    path.write_text(text.replace(before, after))


@pytest.fixture
def place(tmp_path):
    (tmp_path / "work").mkdir()
    return tmp_path


@pytest.mark.slow
def test_the_tutorial_does_what_it_says(place):
    path = tools(place / "bin", make_environment(place / "env"))
    output, seen = "", {"bash": 0, "python": 0, "text": 0}
    for language, body in BLOCK.findall(PAGE.read_text()):
        if language == "bash":
            output = bash(body, place / "work", path)
        elif language == "python":
            write(body, place / "work")
        elif language == "text":
            for line in body.splitlines():
                assert " ".join(line.split()) in output, f"'{line}' is not in the output:\n{output[-3000:]}"
        if language in seen:
            seen[language] += 1
    assert min(seen.values()) >= 3, f"the page lost its blocks: {seen}"
