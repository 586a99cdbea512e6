"""``stentor serve [RUN...] [--model NAME]``: answer requests over HTTP until Ctrl-C; what is in work is finished."""

from __future__ import annotations

import argparse
import os
from dataclasses import fields
from pathlib import Path

from stentor.errors import StentorError
from stentor.serve.settings import KEY_VARIABLE, Model, ServeSettings

_HELP = {
    "host": "address to listen on",
    "port": "0 takes a free one",
    "max_upload_mb": "largest request (MiB)",
    "max_seconds": "longest audio of a request (s)",
    "max_characters": "longest text of a request",
    "rate": "requests a minute of one client; 0: no limit",
    "queue": "requests in work or waiting; further ones get status 503",
    "batch": "windows that the model hears at once, of one or several requests",
    "batch_seconds": "audio that the model hears at once, padding included (s)",
    "gather_ms": "how long an idle model waits for company (ms)",
    "idle_seconds": "how long a client may be silent in the middle of an upload (s)",
    "grace_seconds": "how long requests in work may take when the server stops (s)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    runs = "folders of runs, or of exports; one that listens and one that speaks go together"
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help=runs)
    parser.add_argument("--model", action="append", default=[], metavar="NAME",
                        help="a model that needs no run: a recogniser, or a voice")  # fmt: skip
    parser.add_argument("--name", default="", help="what clients shall call the model; default: its own name")
    voices = "recordings of whom a run that speaks may sound like; a voice is called like its file"
    parser.add_argument("--voices", type=Path, metavar="FOLDER", help=voices)
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda")
    swapped = "of the run's decoder, as often as needed: decoder=ctc-beam, decoder.lm=words.arpa"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=swapped)
    defaults = {field.name: field.default for field in fields(ServeSettings)}
    for name, told in _HELP.items():
        flag, default = f"--{name.replace('_', '-')}", defaults[name]
        parser.add_argument(flag, type=type(default), default=default, help=f"{told} (default {default})")
    parser.epilog = f"{KEY_VARIABLE}=KEY in the environment asks clients for 'Authorization: Bearer KEY'."


def run(arguments: argparse.Namespace) -> int:
    from stentor.serve.server import serve

    limits = {name: getattr(arguments, name) for name in _HELP}
    serve(_models(arguments), ServeSettings(**limits, key=os.environ.get(KEY_VARIABLE, "")))
    return 0


def _models(arguments: argparse.Namespace) -> list[Model]:
    named = [(run, "") for run in arguments.runs] + [(None, name) for name in arguments.model]
    if len(named) > 1 and (arguments.name or arguments.set):
        given = "--name" if arguments.name else "--set"
        raise StentorError("is for one model; several are named.", path=given)
    common = {"device": arguments.device, "changes": tuple(arguments.set), "voices": arguments.voices}
    return [Model(run, name, arguments.name, **common) for run, name in named or [(None, "")]]
