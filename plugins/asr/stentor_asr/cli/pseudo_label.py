"""``stentor pseudo-label SOURCE... -o MANIFEST --model NAME --run RUN ...``."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stentor.cli.counts import at_least_one
from stentor.errors import StentorError

if TYPE_CHECKING:
    from stentor.data.utterance import Utterance
    from stentor.interfaces.corpus import Rejected


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE",
                        help="audio files, folders of them, or one manifest (its texts are not looked at)")  # fmt: skip
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="MANIFEST", help="e.g. labels.jsonl.gz")
    several = "may be given several times"
    parser.add_argument("--model", action="append", default=[], metavar="NAME",
                        help=f"a recogniser of 'stentor list recogniser', or Whisper weights; {several}")  # fmt: skip
    parser.add_argument("--run", action="append", default=[], type=Path, help=f"a trained run; {several}")
    parser.add_argument("--transcripts", action="append", default=[], type=Path, metavar="MANIFEST",
                        help=f"what another system heard; {several}")  # fmt: skip
    parser.add_argument("--agree", type=at_least_one, default=2, help="systems that have to say the same (default 2)")
    parser.add_argument("--disagreement", type=float, default=0.05, metavar="SHARE",
                        help="most that a kept utterance may have (default 0.05)")  # fmt: skip
    parser.add_argument("--normaliser", default="basic", help="form in which words are compared and labels are written")
    parser.add_argument("--batch", type=at_least_one, default=16, help="utterances at a time (default 16)")
    parser.add_argument("--device", default="auto", help="where to compute: auto, cpu, cuda")
    parser.add_argument("--fresh", action="store_true", help="transcribe again what has been transcribed before")


def run(arguments: argparse.Namespace) -> int:
    from stentor.data import manifest, quarantine
    from stentor.data.utterance import Utterance
    from stentor.plugins import registry
    from stentor_asr.pseudo_label import Agreement, labelled

    count = len(arguments.model) + len(arguments.run) + len(arguments.transcripts)
    if count < max(2, arguments.agree):
        raise StentorError(f"{max(2, arguments.agree)} systems are needed at least, {count} are named; name more with "
                           f"--model, --run or --transcripts.")  # fmt: skip
    if not 0 <= arguments.disagreement <= 1:
        raise StentorError("it must be between 0 and 1.", path="--disagreement", value=arguments.disagreement)
    normaliser = registry().get("normaliser", arguments.normaliser, path="--normaliser").load()()
    utterances, dropped = _pool(arguments.sources)
    systems = _systems(arguments, utterances)
    kept = []
    for one in labelled(utterances, systems, Agreement(normaliser, arguments.agree, arguments.disagreement)):
        kept.append(one) if isinstance(one, Utterance) else dropped.append(one)
    manifest.save(arguments.output, kept)
    quarantine.write(_beside(arguments.output, "dropped.jsonl"), dropped)
    _tell(arguments.output, kept, dropped)
    return 0


def _pool(sources: Sequence[Path]) -> tuple[list[Utterance], list[Rejected]]:
    from stentor.data import manifest
    from stentor.data.utterance import Utterance
    from stentor_asr.pseudo_label import pool
    from stentor_asr.transcribe import places

    listed = [source for source in sources if source.name.endswith((".jsonl", ".jsonl.gz"))]
    if listed and len(sources) > 1:
        raise StentorError("a manifest is labelled alone, without other sources.", path=str(listed[0]))
    found = list(manifest.rows(listed[0]) if listed else pool(places.found(sources)))
    good = [one for one in found if isinstance(one, Utterance) and one.audio]
    if not good:
        raise StentorError("there is no recording to label.", path=str(sources[0]))
    return good, [one for one in found if not isinstance(one, Utterance)]


def _systems(arguments: argparse.Namespace, utterances: list[Utterance]) -> dict[str, Mapping[str, str]]:
    """Transcripts by the name of their system, in the order models, runs, manifests."""
    from stentor.evaluate.journal import Journal
    from stentor.evaluate.settings import EvaluateSettings
    from stentor_asr import pseudo_label
    from stentor_asr.transcribe.choice import choose

    settings = EvaluateSettings(batch_size=arguments.batch, batch_seconds=30.0 * arguments.batch)
    folder = _beside(arguments.output, "transcripts")
    systems: dict[str, Mapping[str, str]] = {}
    given = [(None, model) for model in arguments.model] + [(folder, "") for folder in arguments.run]
    for place, model in given:
        recogniser = choose(place, model, device=arguments.device)
        identity = {"weights": recogniser.load_pretrained(), "run": _state(place), "pool": _digest(utterances)}
        name = _name(place.name if place else model, systems)
        journal = Journal(folder, name, identity)
        systems[name] = pseudo_label.listen(recogniser, utterances, journal, settings, fresh=arguments.fresh)
    for path in arguments.transcripts:
        systems[_name(path.name.partition(".")[0], systems)] = pseudo_label.read(path, utterances)
    return systems


def _name(wanted: str, taken: Mapping[str, Any]) -> str:
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", wanted).strip("-.") or "system"
    name, count = plain, 1
    while name in taken:
        count += 1
        name = f"{plain}-{count}"
    return name


def _state(run: Path | None) -> list[list[Any]]:
    """What tells one state of a run's weights from another: names, sizes and times of its checkpoints."""
    files = sorted(path for path in run.rglob("*.safetensors")) if run else []
    return [[path.name, (state := path.stat()).st_size, state.st_mtime_ns] for path in files]


def _digest(utterances: Sequence[Utterance]) -> str:
    told = [(one.id, one.audio, one.start, one.duration, Path(one.audio).stat().st_mtime_ns) for one in utterances]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _beside(output: Path, ending: str) -> Path:
    """``labels.jsonl.gz`` -> ``labels.ENDING``."""
    return output.with_name(f"{output.name.removesuffix('.gz').removesuffix('.jsonl')}.{ending}")


def _tell(output: Path, kept: Sequence[Utterance], dropped: Sequence[Rejected]) -> None:
    from stentor.data.quarantine import by_reason

    hours = sum(one.duration for one in kept) / 3600
    print(f"{output}: {len(kept)} utterances, {hours:.3f} h, labelled; {len(dropped)} dropped")
    for reason, count in by_reason(dropped).items():
        print(f"  {count} x {reason}")
    if dropped:
        print(f"  why each was dropped: {_beside(output, 'dropped.jsonl')}")
