"""``stentor prefer RUN|MANIFEST [PROMPTS]``: a local page to compare responses on, blind; votes become preferences."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stentor.cli.counts import at_least_one
from stentor.errors import StentorError
from stentor_align.cli.preferences import beside

if TYPE_CHECKING:
    from stentor.interfaces.corpus import Rejected
    from stentor_align.prefer.sitting import Sitting
    from stentor_align.prefer.sources import Source

_SOURCE = (
    "a run, which answers PROMPTS (default: its validation set); or a manifest whose rows have 'chosen' and "
    "'rejected', 'ranked', or 'responses', texts or {audio: FILE}"
)
_HOST = (
    "address to listen on (default 127.0.0.1, which this machine alone reaches; with any other one the page opens only "
    "with the token in the address that is printed: whoever has that may listen and vote, and it goes over the network "
    "unencrypted)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help=_SOURCE)
    parser.add_argument("prompts", nargs="?", default="", metavar="PROMPTS", help="a manifest; only with a run")
    parser.add_argument(
        "-o", "--output", type=Path, help="the manifest of votes (default: preferred.jsonl.gz beside it)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of samples, order and sides")
    parser.add_argument("--rater", default="", help="who votes; written into every row")
    parser.add_argument("--show", choices=("auto", "text", "audio", "both"), default="auto", help="what of a prompt; "
                        "auto: its audio where responses are read, its text where they are heard")  # fmt: skip
    run = parser.add_argument_group("samples of a run")
    run.add_argument("--rows", type=at_least_one, default=50, help="prompts, drawn by the seed (default 50)")
    run.add_argument(
        "--samples", type=at_least_one, default=2, help="responses to each; all pairs are asked (default 2)"
    )
    run.add_argument("--temperature", type=float, default=1.0, help="of the samples (default 1)")
    server = parser.add_argument_group("server")
    server.add_argument("--host", default="127.0.0.1", help=_HOST)
    server.add_argument("--port", type=int, default=8808, help="0 takes a free one (default 8808)")
    server.add_argument("--no-open", action="store_true", help="leave opening a browser to me")


def run(arguments: argparse.Namespace) -> int:
    from stentor_align.prefer.address import check
    from stentor_align.prefer.questions import questions
    from stentor_align.prefer.sitting import Sitting
    from stentor_align.prefer.votes import Votes

    source = Path(arguments.source)
    output = arguments.output or _default(source)
    log = beside(output, "votes.jsonl")
    if output.exists() and not log.exists():
        told = "it is there already, and no votes are beside it; name another file with -o."
        raise StentorError(told, path=str(output))
    check(arguments.host, arguments.port)  # a run may be asked for hours before the page is there
    asked = _source(arguments, output)
    votes = Votes(log, f"{asked.identity}, seed {arguments.seed}")
    try:
        rows, dropped = asked.rows()
        found, more = questions(rows, asked.folder, arguments.seed)
        _tell_dropped(output, [*dropped, *more])
        if not found:
            raise StentorError("there is no pair to compare in it.", path=arguments.source)
        _serve(arguments, Sitting(found, votes, output, rater=arguments.rater))
    finally:
        votes.close()
    return 0


def _default(source: Path) -> Path:
    return source / "preferred.jsonl.gz" if source.is_dir() else beside(source, "preferred.jsonl.gz")


def _source(arguments: argparse.Namespace, output: Path) -> Source:
    from stentor_align.prefer.sources import Manifest

    if Path(arguments.source).is_dir():
        from stentor_align.prefer.sampled import Asked, Sampled

        if arguments.samples < 2:
            raise StentorError("a comparison needs two responses at least.", path="--samples", value=arguments.samples)
        asked = Asked(*(getattr(arguments, name) for name in ("prompts", "rows", "samples", "temperature", "seed")))
        return Sampled(arguments.source, asked, beside(output, "samples.jsonl"), beside(output, "audio"))
    if arguments.prompts:
        raise StentorError("prompts are for a run; SOURCE is a manifest.", path="PROMPTS", value=arguments.prompts)
    return Manifest(Path(arguments.source))


def _tell_dropped(output: Path, dropped: Sequence[Rejected]) -> None:
    from stentor.data import quarantine

    if dropped:
        place = beside(output, "dropped.jsonl")
        quarantine.write(place, list(dropped))
        print(f"left out: {len(dropped)}; the first of them: {dropped[0].where}: {dropped[0].reason}")
        print(f"  why each was left out: {place}")


def _serve(arguments: argparse.Namespace, sitting: Sitting) -> None:
    """Answer until Ctrl-C or SIGTERM."""
    from stentor_align.prefer import gate
    from stentor_align.prefer.server import Server
    from stentor_align.prefer.showing import Showing

    title = f"Blind comparison: {Path(arguments.source).name}"
    secret = gate.kept(beside(sitting.output, "token"))
    server = Server(arguments.host, arguments.port, sitting, Showing(title, arguments.show), secret)
    if server.gate.guarded:
        print("stentor: whoever has this address with its token may listen and vote.", file=sys.stderr)
    print(f"{_told(sitting)}\nComparing at {server.address}  (Ctrl-C ends; votes are saved one by one)", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    if not arguments.no_open and (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        import webbrowser

        webbrowser.open(server.address)
    with server:
        server.serve_forever(poll_interval=0.1)
    print(_told(sitting))


def _told(sitting: Sitting) -> str:
    found = sitting.progress()
    left, preferences = found["pairs"] - found["voted"], found["a"] + found["b"]
    more = f"{found['tie']} without a difference, {found['skip']} skipped, {left} to go"
    told = f"{sitting.output}: {preferences} preferences ({found['a']} for side A, {found['b']} for side B), {more}"
    damaged = sitting.votes.unreadable
    return f"{told}; {damaged} lines of {sitting.votes.path} cannot be read" if damaged else told
