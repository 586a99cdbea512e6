"""``stentor serve [RUN | --model NAME]``: answer requests over HTTP until Ctrl-C; what is in work is finished."""

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
    "rate": "requests a minute of one client; 0: no limit",
    "queue": "requests in work or waiting; further ones get status 503",
    "batch": "windows that the model hears at once, of one or several requests",
    "batch_seconds": "audio that the model hears at once, padding included (s)",
    "gather_ms": "how long an idle model waits for company (ms)",
    "idle_seconds": "how long a client may be silent in the middle of an upload (s)",
    "grace_seconds": "how long requests in work may take when the server stops (s)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", type=Path, help="the folder of a run, or of an export")
    parser.add_argument("--model", default="", metavar="NAME", help="a model that needs no run")
    parser.add_argument("--name", default="", help="what clients shall call the model; default: its own name")
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

    if arguments.run is not None and arguments.model:
        raise StentorError("name a run or --model, not both.", path="--model", value=arguments.model)
    limits = {name: getattr(arguments, name) for name in _HELP}
    model = Model(arguments.run, arguments.model, arguments.name, arguments.device, tuple(arguments.set))
    serve(model, ServeSettings(**limits, key=os.environ.get(KEY_VARIABLE, "")))
    return 0
