"""Pairs to compare, and a `stentor prefer` in a process of its own: what the tests of the page share."""

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from itertools import combinations
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

import numpy as np
import soundfile

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor_align.prefer import gate
from stentor_align.prefer.questions import questions
from stentor_align.prefer.server import Server
from stentor_align.prefer.showing import Showing
from stentor_align.prefer.sitting import Sitting
from stentor_align.prefer.votes import Votes

RATE = 16000
_SAID = ["".join(letters) for letters in combinations("abcdef", 3)]
_open = build_opener(ProxyHandler({})).open


def pairs(folder, count=6, *, heard=0):
    """A manifest of rows that ask to say letters, with two responses each; the first `heard` rows have audio."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        said = _SAID[number % len(_SAID)] * (1 + number // len(_SAID))
        two = [said, {"text": said[::-1], "score": 9.0}]
        if number < heard:
            two = [{"audio": f"{number}-{side}.wav", "text": said} for side in "xy"]
            for side, one in enumerate(two):
                soundfile.write(folder / one["audio"], tone(300 + 100 * number + 50 * side), RATE)
        custom = {"instruction": "say", "given": said, "responses": two}
        rows.append(Utterance(f"row-{number}", "", 1.0, 0, text=said, custom=custom))
    place = folder / "pairs.jsonl.gz"
    manifest.save(place, rows)
    return place


def asked(place, seed=0):
    """The questions of a manifest, and what was left out."""
    return questions(manifest.load(place), place.parent, seed)


@contextmanager
def served(place, output, *, seed=0, host="127.0.0.1", **options):
    """A server in this process; its address and its sitting."""
    found, dropped = asked(place, seed)
    assert not dropped
    log = Votes(output.with_name("out.votes.jsonl"), "these")
    sitting = Sitting(found, log, output, **options)
    server = Server(host, 0, sitting, Showing("pairs"))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.address, sitting
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        log.close()


def tone(pitch):
    """Half a second float [N]."""
    return 0.2 * np.sin(2 * np.pi * pitch * np.arange(RATE // 2) / RATE)


@contextmanager
def comparing(*words, port=0):
    """The process, and its address, once it answers."""
    command = [sys.executable, "-m", "stentor", "prefer", *map(str, words), "--port", str(port), "--no-open"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               env={**os.environ, "HF_HUB_OFFLINE": "1"})  # fmt: skip
    said = []
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("Comparing at "):
                break
        assert said and said[-1].startswith("Comparing at "), said
        yield process, said[-1].split()[2]
    finally:
        process.kill()
        process.communicate()


def ask(address, path, body=None, **headers):
    """Status and decoded answer; what is posted shows the token of the page, unless it shows another."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    shown = {} if data is None or gate.HEADER in headers else {gate.HEADER: token(address)}
    request = Request(address + path, data, {"Content-Type": "application/json", **shown, **headers})
    try:
        with _open(request, timeout=30) as answer:
            status, content, kind = answer.status, answer.read(), answer.headers["Content-Type"]
    except HTTPError as refused:
        status, content, kind = refused.code, refused.read(), refused.headers["Content-Type"]
    return status, json.loads(content) if kind == "application/json" else content


def token(address):
    """What the page at an address is given to show."""
    with _open(address, timeout=30) as answer:
        return re.search(r'<meta name="token" content="([^"]+)">', answer.read().decode())[1]


def following(address, tab):
    """The pair that a tab is to show, None at the end."""
    return ask(address, f"next?tab={tab}")[1]["pair"]


def vote(address, pair, choice, tab="one", **more):
    """Status and answer of a vote."""
    return ask(address, "vote", {"pair": pair, "choice": choice, "tab": tab, **more})


def sound(address, pair, what):
    """Status and answer of a sound."""
    return ask(address, f"sound/{quote(pair, safe='')}/{what}")


def logged(output):
    """The votes in the log, without its first line."""
    place = output.with_name(output.name.removesuffix(".jsonl.gz") + ".votes.jsonl")
    return [json.loads(line) for line in place.read_text().splitlines()[1:]]


def kept(output):
    """Pair -> (chosen, rejected) in the manifest of votes."""
    rows = manifest.load(output, check_audio=False)
    return {row.id: (row.custom["chosen"], row.custom["rejected"]) for row in rows}
