"""plugins/align/README.md, carried out on a small text policy: its files and commands; its tables and the registry."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest
import tiny

from stentor.cli import main
from stentor.data import manifest
from stentor.plugins import installed, registry
from stentor_align import hooks

PAGE = (Path(hooks.__file__).parents[1] / "README.md").read_text()
BLOCKS = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL).findall(PAGE)
SHORT = ["task.run=runs/policy", "train.steps=1", "train.tracking=[]", "train.accelerator=cpu", "train.valid_items=2"]
WORDS = ["abc", "fed", "cab", "ace", "bed", "fade"]


def commands(language):
    return [shlex.split(line, comments=True) for kind, body in BLOCKS if kind == language for line in body.splitlines()]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with the run and the prompts that the page speaks of, and its files."""
    monkeypatch.chdir(tmp_path)
    tiny.kept(Path("runs/policy"))
    for name in ("train", "valid"):
        rows = [(word, {}) for word in WORDS]
        Path("corpora/prompts").mkdir(parents=True, exist_ok=True)
        tiny.manifest(Path("corpora/prompts"), rows, name)
    for language, body in BLOCKS:
        if language == "yaml":
            name, _, content = body.partition("\n")
            Path(name.removeprefix("# file: ")).write_text(content)
    return tmp_path


@pytest.mark.slow
def test_every_command_of_the_page(place):
    for _, verb, *words in commands("bash"):
        short = SHORT if verb == "train" else []
        assert main([verb, *words, *short]) == 0, [verb, *words]
    pairs = manifest.load("corpora/preferences/train.jsonl.gz")
    assert all(row.custom["chosen"]["score"] > row.custom["rejected"]["score"] for row in pairs)
    made = {"tuned", "scored", "ipo", "reward-model", "letters", "letters-ppo", "policy-2", "merged", "ties"}
    assert {path.name for path in Path("runs").iterdir()} == {"policy", *made}


def test_commands_that_wait_for_people_are_spelt_as_they_are():
    shown = [words for words in commands("") if words[:1] == ["stentor"]]
    assert {words[1] for words in shown} == {"prefer", "train"}
    for _, verb, *words in shown:
        parser = argparse.ArgumentParser()
        importlib.import_module(installed().verbs.table[verb].module).add_arguments(parser)
        parser.parse_intermixed_args(words)


def test_what_the_page_lists_is_all_that_there_is():
    own = {kind: {name for name in registry().names(kind) if registry().get(kind, name).origin.plugin == "align"}
           for kind in ("reward", "judge", "task")}  # fmt: skip
    for names in own.values():
        assert not {name for name in names if f"`{name}`" not in PAGE}
    listed = set(re.findall(r"`align/([a-z-]+)`", PAGE)) | {"NAME"}
    assert listed - {"NAME"} == {
        name.removeprefix("align/") for name in installed().recipes if name.startswith("align/")
    }
