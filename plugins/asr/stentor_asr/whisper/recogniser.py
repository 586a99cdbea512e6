"""Transcription with a whole pretrained Whisper: greedy, batched, guarded against loops and silence."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.model import weights as pretrained
from stentor.model.device import choose_device
from stentor.model.products import pack
from stentor_asr.align.words import around
from stentor_asr.transcribe.pipeline import in_order, moved
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request, Segment, Word
from stentor_asr.whisper.encoder import encode
from stentor_asr.whisper.features import LogMel
from stentor_asr.whisper.greedy import Decoded, decode
from stentor_asr.whisper.rules import TIME_STEP, Rules
from stentor_asr.whisper.sizes import POSITIONS, SAMPLE_RATE, config_of
from stentor_asr.whisper.vocabulary import Vocabulary
from stentor_asr.whisper.word_times import Written, alignment_heads, word_times

_LOOPING = 2.4
_NO_SPEECH, _UNLIKELY = 0.6, -1.0
_GUARDED_NGRAM = 5
_WORTH_HEARING, _AS_LOUD_DB = 1.5, 10.0
_Told = tuple[Segment, list[int], list[float]]
_LOOP_WARNING = "repeated itself, and was decoded again without repeating five tokens in a row"


class WhisperRecogniser(Recogniser):
    """Whisper (Radford et al. 2022), greedy, windows padded to 30 s as it was trained, no text carried over.

    A window whose text compresses more than 2.4 times is taken for a loop and decoded again without ever repeating five
    tokens in a row; no temperature is involved. A window that is more likely no speech than not, and was decoded with a
    mean log-probability below -1, gives no text.

    Args:
        weights: a Hub name, or a folder in the Hub's layout.
        timestamps: decode segment times; otherwise a window is one segment.
        language: code such as ``en`` for a multilingual model; None finds it for every window.
        device: where to compute, e.g. ``cpu`` or ``cuda``; ``auto`` takes a GPU where there is one.
    """

    sample_rate = SAMPLE_RATE
    join_pauses = 1.5
    abilities = frozenset({"language", "words"})

    def __init__(
        self,
        *,
        weights: str = "openai/whisper-tiny.en",
        timestamps: bool = True,
        language: str | None = None,
        device: str = "auto",
    ) -> None:
        self.weights, self.timestamps, self.language = weights, timestamps, language
        self.device = choose_device(device)
        self._config = config_of(weights)
        self._model: Any = None

    def load_pretrained(self) -> dict[str, str]:
        from transformers import WhisperConfig, WhisperForConditionalGeneration

        source = pretrained.resolve(self.weights)
        checkpoint = source.checkpoint
        with torch.device("meta"):
            model = WhisperForConditionalGeneration(WhisperConfig(**self._config))
        state = checkpoint.state_dict()
        state.setdefault("proj_out.weight", state.get("model.decoder.embed_tokens.weight", torch.empty(0)))
        try:
            model.load_state_dict(state, assign=True)
        except RuntimeError as cause:
            raise StentorError(f"the weights '{self.weights}' ({checkpoint.describe()}) do not fit: "
                               f"{str(cause).splitlines()[-1].strip()}") from cause  # fmt: skip
        self._model = model.train(False).requires_grad_(False).to(self.device, torch.float32)
        pack(self._model)
        self._features = LogMel(self._config["num_mel_bins"]).to(self.device)
        self._vocabulary = Vocabulary(checkpoint, self._config)
        self._heads = alignment_heads(
            checkpoint.json("generation_config.json") or {},
            self._config["decoder_layers"],
            self._config["decoder_attention_heads"],
        )
        self._check_language(self.language)
        return source.provenance()

    def refuse(self, request: Request) -> None:
        super().refuse(request)
        if self._model is not None:
            self._check_language(request.language)

    def _check_language(self, language: str | None) -> None:
        spoken = sorted(self._vocabulary.specials.languages) or ["en"]
        if language and language not in spoken:
            raise StentorError(f"'{self.weights}' does not know language '{language}'.", path="language",
                               value=language, options=spoken)  # fmt: skip

    def recognise(self, windows: Sequence[np.ndarray], request: Request = PLAIN) -> list[Heard]:
        self.refuse(request)
        if self._model is None:
            raise StentorError(f"the weights '{self.weights}' are not loaded; call load_pretrained first.")
        heard = self._hear(windows, request)
        rests = [(index, *rest) for index, rest in enumerate(map(_unheard, heard, windows)) if rest]
        for (index, start, _), more in zip(
            rests, self._hear([samples for _, _, samples in rests], request), strict=True
        ):
            heard[index] = _joined(heard[index], more, start)
        if not request.words:
            return heard
        return [replace(one, segments=tuple(in_order(map(around, one.segments)))) for one in heard]

    @torch.inference_mode()
    def align(self, windows: Sequence[np.ndarray], texts: Sequence[Sequence[str]]) -> list[list[tuple[Word, ...]]]:
        """The words of known lines of text, with times from the beginning of their window.

        Args:
            windows: mono float32 [N] each, of at most 30 s.
            texts: the lines that are said in each; none is empty.

        Raises:
            StentorError: when a window's text is longer than the decoder can hold.
        """
        language = self.language or ("en" if self._vocabulary.specials.languages else None)
        written = [
            Written([self._vocabulary.encode(line) for line in lines], None, window, language)
            for window, lines in zip(windows, texts, strict=True)
        ]
        longest = self._model.config.max_target_positions - 8
        if any(len(one.tokens) > longest for one in written):
            raise StentorError(f"the text is too long: a window of 30 s takes {longest} tokens.")
        encoded = torch.cat([self._encode(window) for window in windows])
        return word_times(self._model, self._vocabulary, self._heads, encoded, written)

    def _encode(self, window: np.ndarray) -> Tensor:
        audio = torch.from_numpy(np.ascontiguousarray(window, dtype=np.float32)).to(self.device)
        mel = self._features(audio[None], 2 * POSITIONS)
        return encode(self._model.model.encoder, mel, torch.tensor([POSITIONS], device=self.device))

    @torch.inference_mode()
    def _hear(self, windows: Sequence[np.ndarray], request: Request) -> list[Heard]:
        if not windows:
            return []
        encoded = torch.cat([self._encode(window) for window in windows])
        rules = Rules(self._vocabulary.specials, timestamps=self.timestamps)
        language = request.language or self.language
        found = decode(self._model, encoded, rules, language)
        loops = [index for index, decoded in enumerate(found) if self._loops(decoded)]
        if loops:
            guarded = replace(rules, no_repeat=_GUARDED_NGRAM)
            for index, again in zip(loops, decode(self._model, encoded[loops], guarded, language), strict=True):
                found[index] = again
        seconds = [len(window) / SAMPLE_RATE for window in windows]
        told = [list(self._segments(decoded, length)) for decoded, length in zip(found, seconds, strict=True)]
        segments = [tuple(segment for segment, _, _ in one) for one in told]
        if request.words:
            segments = self._with_words(told, encoded, windows, [decoded.language for decoded in found])
        return [
            Heard(segments[index], decoded.language or "en", (_LOOP_WARNING,) if index in loops else ())
            for index, decoded in enumerate(found)
        ]

    def _with_words(
        self,
        told: Sequence[list[_Told]],
        encoded: Tensor,
        windows: Sequence[np.ndarray],
        languages: Sequence[str | None],
    ) -> list[tuple[Segment, ...]]:
        timed = [tuple[Segment, ...]() for _ in told]
        rows = [index for index, one in enumerate(told) if one]
        written = [
            Written([tokens for _, tokens, _ in told[index]], [scores for *_, scores in told[index]], windows[index],
                    languages[index])
            for index in rows
        ]  # fmt: skip
        found = word_times(self._model, self._vocabulary, self._heads, encoded[rows], written) if rows else []
        for index, words in zip(rows, found, strict=True):
            timed[index] = tuple(
                replace(segment, words=own) for (segment, _, _), own in zip(told[index], words, strict=True)
            )
        return timed

    def _loops(self, decoded: Decoded) -> bool:
        text = self._vocabulary.text(decoded.tokens).encode()
        return len(text) > _LOOPING * len(zlib.compress(text))

    def _segments(self, decoded: Decoded, seconds: float) -> Iterator[_Told]:
        """Text between timestamps, with its tokens and scores; what has none runs to the end of the window."""
        if decoded.no_speech > _NO_SPEECH and decoded.mean_score < _UNLIKELY:
            return
        start, tokens, scores = 0.0, list[int](), list[float]()
        for token, score in [*zip(decoded.tokens, decoded.scores, strict=True), (self._end_of(seconds), 0.0)]:
            time = self._vocabulary.seconds(token)
            if time is None:
                tokens.append(token)
                scores.append(score)
                continue
            text = self._vocabulary.text(tokens).strip()
            if any(character.isalnum() for character in text):
                end = max(min(time, seconds), start + TIME_STEP)
                yield Segment(start, end, text, math.exp(math.fsum(scores) / len(scores))), tokens, scores
            start, tokens, scores = min(time, seconds), [], []

    def _end_of(self, seconds: float) -> int:
        return self._vocabulary.specials.first_time + round(seconds / TIME_STEP)


def _unheard(heard: Heard, window: np.ndarray) -> tuple[float, np.ndarray] | None:
    """What follows the last segment, if it is long and about as loud as the rest: Whisper stopped too early."""
    start = heard.segments[-1].end if heard.segments else 0.0
    rest = window[round(start * SAMPLE_RATE) :]
    if not heard.segments or len(rest) < _WORTH_HEARING * SAMPLE_RATE or _level(rest) < _level(window) - _AS_LOUD_DB:
        return None
    return start, rest


def _level(samples: np.ndarray) -> float:
    return 10 * math.log10(float(np.square(samples, dtype=np.float64).mean()) + 1e-12)


def _joined(first: Heard, second: Heard, start: float) -> Heard:
    later = [moved(segment, start) for segment in second.segments]
    return Heard((*first.segments, *later), first.language, (*first.warnings, *second.warnings))
