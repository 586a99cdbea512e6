"""Which recogniser a user means: a run or an export, a registered name, or Whisper weights."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from stentor.errors import StentorError
from stentor_asr.transcribe.recogniser import Recogniser

DEFAULT = "openai/whisper-tiny.en"


def choose(
    run: Path | None,
    model: str = DEFAULT,
    *,
    language: str | None = None,
    device: str = "auto",
    changes: Sequence[str] = (),
) -> Recogniser:
    """The recogniser, its weights not yet read.

    Args:
        run: folder of a run or of an export; None takes `model`.
        model: a name of ``stentor list recogniser``, or Whisper weights.
        language: what is spoken; None leaves it to the recogniser.
        device: where to compute.
        changes: of a run's decoder, e.g. ``decoder=ctc-beam``.

    Raises:
        StentorError: when it is not there, or takes no such option.
    """
    from stentor.config import schema
    from stentor.plugins import registry

    options: dict[str, Any] = {"language": language} if language else {}
    if device != "auto":
        options["device"] = device
    if run is not None:
        from stentor_asr.transcribe.trained_run import TrainedRun

        _check_options(options, {"device"}, f"the run '{run}'")
        return TrainedRun(run, **options, changes=changes)
    if changes:
        raise StentorError("only the decoder of a run can be changed; name one with --run.", path="--set")
    known = registry()
    if model not in known.names("recogniser"):
        return known.build("recogniser", "whisper", weights=model, **options)
    taken = {field.name for field in schema.of(known.get("recogniser", model)).configured}
    _check_options(options, taken, f"recogniser '{model}'")
    return known.build("recogniser", model, **options)


def _check_options(given: Collection[str], taken: Collection[str], who: str) -> None:
    for name in given:
        if name not in taken:
            raise StentorError(f"{who} takes no {name}.", path=f"--{name}")
