"""Runs a tutorial block by block, as a person who does what the page says: its files, commands, server, client."""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

from outside import Warm

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    """(language, content) of each block; what has no language, or is a transcript, is only shown."""
    return BLOCK.findall(page)


def shorter(page, changes):
    """The page with each change applied once: a command gets further words, a setting another value."""
    for shown, put in changes.items():
        assert len(re.findall(rf"^{re.escape(shown)}$|\b{re.escape(shown.strip())}$", page, re.MULTILINE)) == 1, shown
        page = page.replace(f"{shown}\n", f"{shown} {put}\n" if shown.startswith("stentor") else f"{put}\n")
    return page


def plain(text):
    """Lines with single spaces."""
    return [" ".join(line.split()) for line in text.splitlines()]


def read(page, folder):
    """Do what a page says, in a fresh folder below `folder`; the reader, who has left."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reader = Reader(folder, port)
    try:
        for language, body in blocks(page):
            reader.block(language, body)
    finally:
        reader.leave()
    return reader


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
            self.said = "".join(map(self.command, commands))
        elif language == "text":
            self.compare(body)

    def command(self, words):
        if words[:3] == ["pip", "install", "-e"]:
            self.warm.install(self.work / words[3])
            return ""
        assert words[0] in ("stentor", "python"), words
        return self.warm.run(words)

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


def undeclared(page):
    """Extras that the page installs and that no distribution declares."""
    (install,) = [body for language, body in blocks(page) if not language]
    asked = [
        (folder, extra)
        for folder, extras in re.findall(r"\./(\S+)\[([\w,]+)\]", install)
        for extra in extras.split(",")
    ]
    return [
        extra
        for folder, extra in asked
        if not re.search(rf"^{extra} = \[", (ROOT / folder / "pyproject.toml").read_text(), re.MULTILINE)
    ]


def nameless(page):
    """Blocks of files that do not say what the file is called, and blocks of no known language."""
    known = ("", "bash", "python", "yaml", "text", "transcript")
    return [
        body
        for language, body in blocks(page)
        if language not in known or (language in ("python", "yaml") and not re.match(r"# file: \S+\n", body))
    ]
