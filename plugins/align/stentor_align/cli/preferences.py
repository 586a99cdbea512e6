"""``stentor preferences build|score|import|export``: make preference data, and exchange it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.cli.counts import at_least_one
from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor.data.utterance import Utterance
    from stentor.interfaces.corpus import Rejected

_FORMS = ("best-worst", "all", "ranked")
_TAKES = {"build": "RUN MANIFEST", "score": "RUN MANIFEST", "import": "FILE", "export": "MANIFEST"}
_HELP = (
    "build: sample responses of a run to a manifest's rows, score them, keep what is clearly preferred; score: write "
    "log-probabilities under a run into the rows, for task dpo; import, export: TRL's conversational format"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=list(_TAKES), help=_HELP)
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="RUN MANIFEST for build and score, else one file")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file that is written")
    build = parser.add_argument_group("build")
    build.add_argument("--reward", default="", help="name of a reward, or a YAML file with one's section")
    build.add_argument("--samples", type=at_least_one, default=5, help="responses to each prompt (default 5)")
    build.add_argument("--margin", type=float, default=0.0, help="scores must be apart by more than this (default 0)")
    build.add_argument("--form", choices=_FORMS, default="best-worst", help="what is kept of a prompt's responses")
    build.add_argument("--temperature", type=float, default=1.0, help="of the samples (default 1)")
    build.add_argument("--seed", type=int, default=0, help="of the samples")


def run(arguments: argparse.Namespace) -> int:
    wanted = _TAKES[arguments.what]
    if len(arguments.sources) != len(wanted.split()):
        raise StentorError(f"'preferences {arguments.what}' takes {wanted}.", path="SOURCE", value=arguments.sources)
    work = {"build": _build, "score": _score, "import": _import, "export": _export}
    work[arguments.what](arguments)
    return 0


def _build(arguments: argparse.Namespace) -> None:
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
    rows = manifest.load(prompts)
    asked = [told["sha256"], section, arguments.samples, arguments.temperature, arguments.seed]
    identity = json.dumps([*asked, manifest.fingerprint(prompts)], sort_keys=True)
    kept = Samples(beside(arguments.output, "samples.jsonl"), identity)
    options: dict[str, Any] = {"samples": arguments.samples, "settings": settings, "seed": arguments.seed}
    failed = sample(policy.eval(), rows, reward, kept, **options)
    selection = Selection(arguments.margin, arguments.form)
    found = [one for row in rows if row.id in kept.known for one in select(row, kept.known[row.id], selection)]
    _write(arguments.output, [*found, *failed])


def _score(arguments: argparse.Namespace) -> None:
    from stentor.data import manifest
    from stentor_align import runs
    from stentor_align.preferences.sampling import with_log_probs

    source, rows = arguments.sources
    policy, told = runs.trained(source)
    _write(arguments.output, with_log_probs(policy.eval(), manifest.load(rows), told["sha256"]))


def _import(arguments: argparse.Namespace) -> None:
    _write(arguments.output, _imported(Path(arguments.sources[0])))


def _imported(file: Path) -> Iterable[Utterance | Rejected]:
    from stentor.interfaces.corpus import Rejected
    from stentor_align.preferences.trl import imported

    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as cause:
        raise StentorError(f"it cannot be read: {cause}.", path=str(file)) from cause
    for number, line in enumerate(lines, 1):
        try:
            yield imported(json.loads(line), f"{file.stem}-{number}")
        except (StentorError, ValueError, AttributeError) as error:
            yield Rejected(f"{file}:{number}", str(error))


def _export(arguments: argparse.Namespace) -> None:
    from stentor.data import manifest
    from stentor.data.atomic import replacing
    from stentor_align.preferences.trl import exported

    lines = [line for row in manifest.load(arguments.sources[0]) for line in exported(row)]
    with replacing(arguments.output) as temporary:
        temporary.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    print(f"{arguments.output}: {len(lines)} pairs")


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


def _write(output: Path, found: Iterable[Utterance | Rejected]) -> None:
    from stentor.data import manifest, quarantine
    from stentor.data.utterance import Utterance

    kept: list[Utterance] = []
    dropped: list[Rejected] = []
    for one in found:
        kept.append(one) if isinstance(one, Utterance) else dropped.append(one)
    manifest.save(output, kept)
    if dropped:
        quarantine.write(beside(output, "dropped.jsonl"), dropped)
    _tell(output, kept, dropped)


def _tell(output: Path, kept: Sequence[Utterance], dropped: Sequence[Rejected]) -> None:
    print(f"{output}: {len(kept)} rows; {len(dropped)} dropped")
    if dropped:
        print(f"  the first of them: {dropped[0].where}: {dropped[0].reason}")
        print(f"  why each was dropped: {beside(output, 'dropped.jsonl')}")


def beside(output: Path, ending: str) -> Path:
    """``pairs.jsonl.gz`` -> ``pairs.ENDING``."""
    return output.with_name(f"{output.name.removesuffix('.gz').removesuffix('.jsonl')}.{ending}")
