"""What the page may know of a question: prompt and sides, nothing that says where a side comes from."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import soundfile

from stentor.data import audio
from stentor.errors import StentorError
from stentor_align.prefer.questions import Question, Shown


class Showing:
    """Turns questions into what a page shows and plays.

    Args:
        title: of the page.
        shown: what of a prompt is shown; ``auto``: its audio where responses are read, its text where they are heard
            or there is no audio. Instructions, and the example of a voice, are shown always.
    """

    def __init__(self, title: str, shown: Shown = "auto") -> None:
        self.title, self._wanted = title, shown

    def shown(self, question: Question) -> dict[str, Any]:
        """What a page is told of a question."""
        row, sides = question.row, question.sides
        asked = [{"label": label, "text": text} for label, text in _instructions(row.custom)]
        if self._text(question):
            asked.append({"label": "Text", "text": str(row.custom.get("marked") or row.text)})
        if self._audio(question):
            asked.append({"label": "Recording", "sound": "prompt"})
        if _example(row.custom):
            asked.append({"label": "The voice to sound like", "sound": "voice"})
        told = [
            {"sound": name} if "audio" in one else {"text": one["text"]} for name, one in zip("ab", sides, strict=True)
        ]
        return {"id": question.id, "prompt": asked, "a": told[0], "b": told[1]}

    def _text(self, question: Question) -> bool:
        row = question.row
        fitting = (_heard(question) or not row.audio) and not _instructions(row.custom)
        return bool(row.text) and (self._wanted in ("text", "both") or (self._wanted == "auto" and fitting))

    def _audio(self, question: Question) -> bool:
        wanted = self._wanted in ("audio", "both") or (self._wanted == "auto" and not _heard(question))
        return bool(question.row.audio) and wanted

    def sound(self, question: Question, what: str) -> bytes:
        """A WAV file: of a side, of the prompt's recording or of the voice's example, without what their files tell.

        Raises:
            StentorError: when the question has no such sound, or its file cannot be read.
        """
        row = question.row
        if what in ("a", "b") and "audio" in (side := question.sides["ab".index(what)]):
            return _wav(side["audio"])
        if what == "prompt" and self._audio(question):
            return _wav(row.audio, row.start, row.duration, row.channel)
        if what == "voice" and (example := _example(row.custom)):
            return _wav(example["audio"], float(example.get("start", 0.0)), example.get("duration"))
        raise StentorError("the pair has no such sound.", path="sound", value=what, suggestion=None)


def _instructions(custom: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a row asks for in words, and what each part is called."""
    if isinstance(custom.get("messages"), list):
        turns = [one for one in custom["messages"] if isinstance(one, Mapping)]
        return [(str(turn.get("role", "")).capitalize(), str(turn.get("content", ""))) for turn in turns]
    parts = {"instruction": "Instruction", "given": "Given"}
    return [(label, str(custom[name])) for name, label in parts.items() if custom.get(name)]


def _heard(question: Question) -> bool:
    return any("audio" in one for one in question.sides)


def _example(custom: Mapping[str, Any]) -> Mapping[str, Any] | None:
    told = custom.get("prompt")
    return told if isinstance(told, Mapping) and isinstance(told.get("audio"), str) else None


def _wav(path: str, *stretch: Any) -> bytes:
    rate = audio.info(path).sample_rate
    memory = io.BytesIO()
    soundfile.write(memory, audio.read(path, rate, *stretch), rate, format="WAV", subtype="PCM_16")
    return memory.getvalue()
