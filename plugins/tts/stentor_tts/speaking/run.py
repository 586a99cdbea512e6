"""A trained run as a speaker: codes by its language model, frames by its acoustic model, samples by its vocoder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from stentor.data.resample import Samples, resample
from stentor.errors import StentorError
from stentor.interfaces.codec import Codec, Codes
from stentor.model.device import choose_device
from stentor_tts.interfaces import Acoustic, Reference, Vocoder
from stentor_tts.inventory import Inventory
from stentor_tts.speaking.marking import marked
from stentor_tts.speaking.pulling import pulled
from stentor_tts.speaking.reference import RATE, VoiceSample
from stentor_tts.speaking.speaker import Speaker, Told, Wish
from stentor_tts.speaking.tail import CodecTail, MelTail, Tail
from stentor_tts.text.script import Sentence
from stentor_tts.vocoders.griffin_lim import GriffinLim

_KEPT = 16
"""Voices whose references are kept."""

TellCodes = Callable[[int, Codes, bool], bool]
"""Called with a row, its next whole groups of codes, and whether these are the last; False: nobody waits for more."""


@dataclass(frozen=True)
class Utterance:
    """One text that a run shall say.

    Attributes:
        text: words, with tags in brackets, the style of the whole before them (`stentor_tts.markup`).
        reference: whom to sound like; None: nobody in particular.
        reference_text: what is said in the reference; empty where it is not known.
        seed: of what is drawn.
    """

    text: str
    reference: Reference | None = None
    reference_text: str = ""
    seed: int = 0


@runtime_checkable
class SpeakingTask(Protocol):
    """What a task offers so that `stentor speak` and `stentor serve` can speak with its runs.

    Attributes:
        inventory: tags and styles that it was trained with.
        codec: whose codes it says.
        acoustic: makes frames of its codes.
        vocoder: makes samples of frames.
    """

    inventory: Inventory
    codec: Codec
    acoustic: Acoustic | None
    vocoder: Vocoder | None

    @property
    def sample_rate(self) -> int: ...

    def knows(self, character: str) -> bool:
        """Whether its tokenizer can spell a character."""
        ...

    def reference(self, wave: Tensor) -> Reference:
        """A voice by the example of a waveform [N] at `sample_rate`."""
        ...

    def say_codes(self, asked: Sequence[Utterance], told: TellCodes, *, temperature: float | None = None) -> None:
        """Say every text, all at once; `told` gets the codes of each row as they come. A batch says what its rows say
        alone."""
        ...


def speaks(folder: Path) -> bool:
    """Whether `folder` is a run, or an export, whose task says texts; nothing is built."""
    from stentor.config import Recipe
    from stentor.train.assembly import class_of

    if not (folder / "config.yaml").is_file():
        return False
    section = Recipe.from_file(folder / "config.yaml").config["task"]
    return callable(getattr(class_of("task", section, path="task"), "say_codes", None))


class RunSpeaker(Speaker):
    """Speaks with the task of a run directory.

    Args:
        folder: the run, or an export.
        device: where to compute, e.g. ``cpu`` or ``cuda``; ``auto`` takes a GPU where there is one.

    Raises:
        StentorError: when there is no such device.
    """

    abilities = frozenset({"voice", "temperature"})

    def __init__(self, folder: Path, device: str = "auto") -> None:
        self.folder, self.name, self.device = folder, folder.resolve().name, choose_device(device)
        self._task: Any = None
        self._voices: dict[str, Reference] = {}
        self._lock = threading.Lock()

    def load_pretrained(self) -> dict[str, str]:
        from stentor import train

        recipe, task = train.load(self.folder)
        if not isinstance(task, SpeakingTask):
            raise StentorError(f"the task '{recipe.config['task']['name']}' of this run does not say texts.",
                               path=str(self.folder))  # fmt: skip
        self._task = task.to(self.device)  # type: ignore[attr-defined]
        self.sample_rate, self.inventory = task.sample_rate, task.inventory
        _, found = train.run.chosen(self.folder)
        return {"name": recipe.name or self.name, "source": f"run {self.folder}", "step": str(found.step)}

    @property
    def task(self) -> Any:
        """The task, in evaluation mode.

        Raises:
            StentorError: before `load_pretrained`.
        """
        if self._task is None:
            raise StentorError("the run is not loaded; call load_pretrained first.", path=str(self.folder))
        return self._task

    def can_say(self, character: str) -> bool:
        return bool(self.task.knows(character))

    def say(self, sentence: Sentence, wish: Wish) -> Iterator[Samples]:
        yield from pulled(lambda put: self.say_all([sentence], [wish], lambda _, chunk: put(chunk)))

    def say_all(self, sentences: Sequence[Sentence], wishes: Sequence[Wish], told: Told) -> None:
        pairs = list(zip(sentences, wishes, strict=True))
        references = [self._reference(wish.voice) for wish in wishes]
        asked = [
            Utterance(
                marked(sentence, wish.manner, self.inventory),
                reference,
                wish.voice.text if wish.voice else "",
                wish.seed,
            )
            for (sentence, wish), reference in zip(pairs, references, strict=True)
        ]
        tails = [tail(self.task, one) for one in asked]

        def heard(row: int, codes: Codes, last: bool) -> bool:
            samples = tails[row].push(codes, last=last).float().cpu().numpy()
            return told(row, samples) if len(samples) else True

        with self._lock:
            self.task.say_codes(asked, heard, temperature=wishes[0].temperature if wishes else None)

    def _reference(self, sample: VoiceSample | None) -> Reference | None:
        """What the acoustic model takes of a voice; kept for the last few voices."""
        if sample is None:
            return None
        if sample.digest not in self._voices:
            if len(self._voices) >= _KEPT:
                self._voices.pop(next(iter(self._voices)), None)
            wave = torch.from_numpy(resample(sample.audio, RATE, self.sample_rate)).to(self.device)
            with torch.inference_mode():
                self._voices[sample.digest] = self.task.reference(wave)
        return self._voices[sample.digest]


def tail(task: SpeakingTask, asked: Utterance) -> Tail:
    """What turns the codes of one utterance into samples.

    Raises:
        StentorError: when the run has nothing that does.
    """
    if task.acoustic is not None:
        vocoder = task.vocoder if task.vocoder is not None else GriffinLim()
        return MelTail(task.acoustic, vocoder, asked.reference, asked.seed)
    if "decode" in task.codec.capabilities:
        return CodecTail(task.codec)
    raise StentorError("the run makes codes but nothing that turns them into sound; give it an acoustic model, e.g. "
                       "acoustic=flow-dit acoustic.run=RUN.", path="acoustic")  # fmt: skip
