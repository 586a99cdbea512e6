"""What a task says: files beside the results, and rows as metrics of audio want them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stentor.data import audio
from stentor.data.utterance import Utterance
from stentor.evaluate.journal import Row
from stentor.interfaces.metric import Recording, Spoken
from stentor.interfaces.task import Task


def speaks(predictor: Any) -> bool:
    """Whether a model claims to have `Task.synthesise`."""
    return "speaks" in getattr(predictor, "capabilities", ())


class Speech:
    """The audio of a task that speaks, kept as ``SET/ID.flac``, and its texts where they are scored too.

    Args:
        task: the model.
        folder: the run's ``evaluation`` folder.
        name: of the set.
        texts: whether to ask the task for texts.
    """

    def __init__(self, task: Task, folder: Path, name: str, *, texts: bool) -> None:
        self.task, self.folder, self.name, self.texts = task, folder, name, texts

    def make(self, batch: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
        waves = self.task.synthesise(batch)
        texts = self.task.predict(batch) if self.texts else [""] * len(batch["ids"])
        return list(zip(texts, waves, strict=True))

    def told(self, utterance: Utterance, made: tuple[str, Tensor]) -> dict[str, Any]:
        text, wave = made
        fault = _fault(wave, self.task.sample_rate)
        if fault:
            return {"output": text, "failure": fault}
        place = f"{self.name}/{file_name(utterance.id)}.flac"
        audio.write(self.folder / place, wave.detach().float().cpu().numpy(), self.task.sample_rate)
        return {"output": text, "output_audio": place, "output_seconds": len(wave) / self.task.sample_rate}

    def there(self, row: Row) -> bool:
        """Whether the file of a row is there, and its text if that is wanted."""
        kept = "output_audio" in row and (self.folder / row["output_audio"]).is_file()
        return kept and (bool(row["output"]) or not self.texts)


def file_name(name: str) -> str:
    """`name` as a file can be called; another for every name."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[:100]
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _fault(wave: Any, rate: int) -> str:
    if not (isinstance(wave, Tensor) and wave.ndim == 1 and wave.is_floating_point()):
        shape = tuple(wave.shape) if isinstance(wave, Tensor) else type(wave).__name__
        return f"the model gave no waveform float [N], but {shape}"
    if len(wave) < audio.MIN_SECONDS * rate:
        return f"the model said nothing: {len(wave)} samples"
    return "" if bool(torch.isfinite(wave).all()) else "the model gave samples that are not finite"


def spoken(rows: Sequence[Row], utterances: Mapping[str, Utterance], folder: Path, manifest: str) -> dict[str, Spoken]:
    """Row id -> what was said, for the rows that have it; notes are those of the row, and go there.

    Args:
        rows: evaluated ones.
        utterances: of the set, by id.
        folder: the run's ``evaluation`` folder.
        manifest: of the set; a relative prompt lies beside it.
    """
    found = {}
    for row in rows:
        if "output_audio" in row and "unscored" not in row:
            said = Recording(str(folder / row["output_audio"]))
            one = utterances[row["id"]]
            found[row["id"]] = _spoken(one, said, row["output_seconds"], manifest, row.setdefault("notes", {}))
            row.update(_shown(one, found[row["id"]].prompt))
    return found


def _shown(one: Utterance, prompt: Recording | None) -> dict[str, Any]:
    """What a report tells of what was asked: the prompt, and the fields that say how to speak."""
    asked = {name: one.custom[name] for name in ("style", "instruction", "marked") if name in one.custom}
    where = {"audio": prompt.path, "start": prompt.start, "duration": prompt.seconds} if prompt else {}
    return {**({"prompt": where} if where else {}), **({"asked": asked} if asked else {})}


def ground_truth(rows: Sequence[Row], utterances: Mapping[str, Utterance], manifest: str) -> dict[str, Spoken]:
    """The same with the rows' own audio in place of what was said; notes go to the row's ``truth``."""
    found = {}
    for row in rows:
        one = utterances[row["id"]]
        if "unscored" not in row and one.audio:
            notes = row.setdefault("truth", {}).setdefault("notes", {})
            found[row["id"]] = _spoken(one, _own(one), one.duration, manifest, notes, reference=False)
    return found


def _spoken(
    one: Utterance, said: Recording, seconds: float, manifest: str, notes: dict[str, Any], *, reference: bool = True
) -> Spoken:
    return Spoken(
        id=one.id,
        text=one.text or "",
        speaker=one.speaker or "",
        seconds=seconds,
        output=said,
        reference=_own(one) if reference and one.audio else None,
        prompt=prompt_of(one, manifest),
        custom=one.custom,
        notes=notes,
    )


def _own(one: Utterance) -> Recording:
    return Recording(one.audio, one.start, one.duration, one.channel)


def prompt_of(utterance: Utterance, manifest: str) -> Recording | None:
    """The example of a voice that a row's field ``prompt`` names: a path, or ``{audio, start, duration}``.

    A relative path counts from the manifest's folder.
    """
    told = utterance.custom.get("prompt")
    told = {"audio": told} if isinstance(told, str) else told
    if not isinstance(told, Mapping) or not isinstance(told.get("audio"), str):
        return None
    seconds = told.get("duration")
    path = str(Path(manifest).parent / told["audio"])
    return Recording(path, float(told.get("start", 0.0)), None if seconds is None else float(seconds))
