"""``stentor preferences build|score|import|export|counter``: make preference data, and exchange it."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor.data.utterance import Utterance
    from stentor.interfaces.corpus import Rejected

_TAKES = {
    "build": "RUN MANIFEST",
    "score": "RUN MANIFEST",
    "import": "FILE",
    "export": "MANIFEST",
    "counter": "MANIFEST",
}
_ASKED = {"build": "prompts", "score": "rows", "import": "lines", "export": "rows", "counter": "rows"}
_BUILD: dict[str, Any] = {
    "reward": "",
    "samples": 5,
    "margin": 0.0,
    "form": "best-worst",
    "temperature": 1.0,
    "seed": 0,
}
_COUNTER = {"deaf": "", "kinds": "heard"}
"""Options of ``build`` and of ``counter``, and what they are where they are not given."""
_HELP = (
    "build: sample responses of a run to a manifest's rows, score them, keep what is clearly preferred; score: write "
    "log-probabilities under a run into the rows, for task dpo; import, export: TRL's conversational format, .jsonl or "
    ".jsonl.gz; counter: add pairs in which who heard answers, and who heard nothing says so"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=list(_TAKES), help=_HELP)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="RUN MANIFEST for build and score, else one file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file that is written")
    build = parser.add_argument_group("build")
    build.add_argument("--reward", help="name of a reward, or a YAML file with one's section")
    build.add_argument("--samples", type=int, help="responses to each prompt, 2 at least (default 5)")
    build.add_argument("--margin", type=float, help="scores must be apart by more than this (default 0)")
    forms = ("best-worst", "all", "ranked")
    build.add_argument("--form", choices=forms, help="what is kept of a prompt's responses (default best-worst)")
    build.add_argument("--temperature", type=float, help="of the samples (default 1)")
    build.add_argument("--seed", type=int, help="of the samples")
    counter = parser.add_argument_group("counter")
    counter.add_argument("--deaf", help="the reply that nothing was heard")
    counter.add_argument("--kinds", help="of heard,silent,other: which pairs (default heard)")


def run(arguments: argparse.Namespace) -> int:
    wanted = _TAKES[arguments.what]
    if len(arguments.sources) != len(wanted.split()):
        raise StentorError(f"'preferences {arguments.what}' takes {wanted}.", path="SOURCE", value=arguments.sources)
    _check(arguments)
    work = {"build": _build, "score": _score, "import": _import, "export": _export, "counter": _counter}
    return work[arguments.what](arguments)


def _check(arguments: argparse.Namespace) -> None:
    """Fill in what a verb was not told, and refuse what it cannot use and others do not take."""
    for verb, options in (("build", _BUILD), ("counter", _COUNTER)):
        for name, usual in options.items():
            value = getattr(arguments, name)
            if value is None:
                setattr(arguments, name, usual)
            elif arguments.what != verb:
                told = f"'preferences {arguments.what}' does not take it, only 'preferences {verb}' does."
                raise StentorError(told, path=f"--{name}", value=value, suggestion=None)
    if arguments.what == "build" and not arguments.reward:
        told = "nothing says which response is better; name a reward, or a YAML file with the section of one."
        raise StentorError(told, path="--reward")
    if arguments.samples < 2:
        raise StentorError(f"a preference needs 2 responses at least, not {arguments.samples}.", path="--samples",
                           value=arguments.samples)  # fmt: skip
    if not 0 <= arguments.margin < math.inf:
        raise StentorError(f"it must be a finite number of at least 0, not {arguments.margin:g}.", path="--margin",
                           value=arguments.margin)  # fmt: skip


def _build(arguments: argparse.Namespace) -> int:
    from stentor.data import manifest
    from stentor_align import runs
    from stentor_align.preferences.sampling import Samples, sample
    from stentor_align.preferences.selecting import Selection, select
    from stentor_align.rollout import SamplingSettings

    source, prompts = arguments.sources
    settings = SamplingSettings(temperature=arguments.temperature)
    section = reward_section(arguments.reward)
    reward = _reward(section)
    policy, told = runs.trained(source)
    bad: list[Rejected] = []
    rows = manifest.load(prompts, report=bad.extend)
    asked = [told["sha256"], section, arguments.samples, arguments.temperature, arguments.seed]
    identity = json.dumps([*asked, manifest.fingerprint(prompts)], sort_keys=True)
    kept = Samples(beside(arguments.output, "samples.jsonl"), identity)
    options: dict[str, Any] = {"samples": arguments.samples, "settings": settings, "seed": arguments.seed}
    bad += sample(policy.eval(), rows, reward, kept, **options)
    selection = Selection(arguments.margin, arguments.form)
    found = [one for row in rows if row.id in kept.known for one in select(row, kept.known[row.id], selection)]
    return _write(arguments, [*found, *bad])


def _score(arguments: argparse.Namespace) -> int:
    from stentor.data import manifest
    from stentor_align import runs
    from stentor_align.preferences.sampling import with_log_probs

    source, place = arguments.sources
    policy, told = runs.trained(source)
    bad: list[Rejected] = []
    rows = manifest.load(place, report=bad.extend)
    return _write(arguments, [*with_log_probs(policy.eval(), rows, told["sha256"]), *bad])


def _import(arguments: argparse.Namespace) -> int:
    from stentor_align.preferences import exchange

    return _write(arguments, exchange.read(Path(arguments.sources[0])))


def _export(arguments: argparse.Namespace) -> int:
    from stentor.data import manifest
    from stentor_align.preferences import exchange

    bad: list[Rejected] = []
    rows = manifest.load(arguments.sources[0], report=bad.extend)
    pairs, dropped = exchange.write(arguments.output, rows)
    return _tell(arguments, pairs, [*dropped, *bad], "pairs")


def _counter(arguments: argparse.Namespace) -> int:
    from stentor.data import manifest
    from stentor_align.preferences.counter import counter_pairs

    bad: list[Rejected] = []
    rows = manifest.load(arguments.sources[0], report=bad.extend)
    options: dict[str, Any] = {"kinds": arguments.kinds.split(","), "silence": beside(arguments.output, "silence.wav")}
    return _write(arguments, [*rows, *counter_pairs(rows, arguments.deaf, **options), *bad])


def reward_section(given: str) -> dict[str, Any]:
    """The checked section of a reward, by its name or from a YAML file that holds one.

    Raises:
        StentorError: with everything that is wrong.
    """
    from stentor.config import reading
    from stentor.config.checking import Checker
    from stentor.plugins import registry

    path = Path(given)
    section: str | Mapping[str, Any] = reading.read(path).data if path.suffix in (".yaml", ".yml") else given
    checker = Checker(registry())
    found = checker.component(section, "reward", "reward")
    if checker.problems:
        raise StentorError(problems=checker.problems)
    return found


def _reward(section: Mapping[str, Any]) -> Any:
    from stentor.train.assembly import build

    reward = build("reward", section)
    reward.load_pretrained()
    return reward


def _write(arguments: argparse.Namespace, found: Iterable[Utterance | Rejected]) -> int:
    from stentor.data import manifest
    from stentor.data.utterance import Utterance

    kept: list[Utterance] = []
    dropped: list[Rejected] = []
    for one in found:
        kept.append(one) if isinstance(one, Utterance) else dropped.append(one)
    if kept:
        manifest.save(arguments.output, kept)
    return _tell(arguments, len(kept), dropped, "rows")


def _tell(arguments: argparse.Namespace, kept: int, dropped: Sequence[Rejected], what: str) -> int:
    """Say what became of it; the exit code, 1 where nothing was kept."""
    from stentor.data import quarantine

    output, place = arguments.output, beside(arguments.output, "dropped.jsonl")
    if dropped:
        quarantine.write(place, dropped)
    else:
        place.unlink(missing_ok=True)  # it would be of an earlier call
    if kept:
        print(f"{output}: {kept} {what}; {len(dropped)} dropped")
        if dropped:
            print(f"  the first of them: {dropped[0].where}: {dropped[0].reason}")
            print(f"  why each was dropped: {place}")
        return 0
    asked = len({one.where for one in dropped})
    why = "; ".join(f"{reason}: {count}" for reason, count in quarantine.by_reason(dropped).items())
    told = f"; {why}; each of them in {place}" if dropped else ""
    told += "; what is there is of an earlier call" if output.exists() else ""
    print(f"stentor: {output}: nothing is kept of {asked} {_ASKED[arguments.what]}, so it is not written: "
          f"{len(dropped)} dropped{told}", file=sys.stderr)  # fmt: skip
    return 1


def beside(output: Path, ending: str) -> Path:
    """``pairs.jsonl.gz`` -> ``pairs.ENDING``."""
    return output.with_name(f"{output.name.removesuffix('.gz').removesuffix('.jsonl')}.{ending}")
