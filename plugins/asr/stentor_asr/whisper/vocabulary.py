"""Whisper's tokenizer and the ids of its special tokens, read from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stentor.errors import StentorError
from stentor.interfaces.weights import Checkpoint
from stentor_asr.whisper.rules import TIME_STEP, Specials

_CONTROL = ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>")
_SILENT = ("<|nospeech|>", "<|nocaptions|>")


class Vocabulary:
    """Token ids to text and times.

    Args:
        checkpoint: holds ``tokenizer.json`` and, if there is one, ``generation_config.json``.
        config: what ``config.json`` says.

    Raises:
        StentorError: when there is no tokenizer or it lacks Whisper's special tokens.
    """

    def __init__(self, checkpoint: Checkpoint, config: Mapping[str, Any]) -> None:
        from tokenizers import Tokenizer

        path = checkpoint.file("tokenizer.json")
        if path is None:
            raise StentorError(f"{checkpoint.describe()} has no tokenizer.json, which tells text from token ids.")
        self._tokenizer = Tokenizer.from_file(str(path))
        self.specials = _specials(self._tokenizer, checkpoint.json("generation_config.json") or config, config)

    def text(self, tokens: Sequence[int]) -> str:
        """Text of the tokens that are text."""
        return str(self._tokenizer.decode([token for token in tokens if token < self.specials.end]))

    def encode(self, text: str) -> list[int]:
        """Tokens of `text` as it stands in a transcript, behind a space."""
        return list(self._tokenizer.encode(f" {' '.join(text.split())}", add_special_tokens=False).ids)

    def seconds(self, token: int) -> float | None:
        """The time that a timestamp token says (s), or None for another token."""
        first = self.specials.first_time
        return (token - first) * TIME_STEP if token >= first else None


def _specials(tokenizer: Any, generation: Mapping[str, Any], config: Mapping[str, Any]) -> Specials:
    def known(*names: str) -> int:
        found = [tokenizer.token_to_id(name) for name in names]
        for index in found:
            if index is not None:
                return int(index)
        raise StentorError(f"the tokenizer has no token {' or '.join(names)}; is it Whisper's?")

    start, no_speech = int(config["decoder_start_token_id"]), known(*_SILENT)
    banned = {*(generation.get("suppress_tokens") or ()), start, no_speech, *(known(name) for name in _CONTROL)}
    return Specials(
        end=known("<|endoftext|>"),
        start=start,
        no_timestamps=known("<|notimestamps|>"),
        no_speech=no_speech,
        languages={code.strip("<|>"): index for code, index in (generation.get("lang_to_id") or {}).items()},
        transcribe=known("<|transcribe|>"),
        banned=tuple(sorted(banned)),
        banned_first=tuple(generation.get("begin_suppress_tokens") or ()),
    )
