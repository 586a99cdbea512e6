"""Decoder ``ctc-flashlight``: the lexicon search of flashlight-text (arXiv 2201.12465), in C++."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from stentor.errors import StentorError
from stentor.extras import require
from stentor.interfaces.decoder import Hotwords, Hypothesis, SearchDecoder
from stentor.interfaces.tokenizer import TextTokenizer
from stentor_asr.decoders.pieces import SPACE, Pieces
from stentor_asr.lm import models

_LN10 = math.log(10.0)
_CERTAIN, _NEVER = 0.0, -1e4


class CTCFlashlight(SearchDecoder):
    """Search among the words of a language model; without one, among all token sequences.

    It follows the best path of a reading, not the sum of all, and takes no hotwords. Words are spelled as the tokenizer
    spells them; others than the model's cannot be found.

    Args:
        beam: hypotheses kept after every frame.
        symbols: symbols tried in one frame, the likeliest first.
        threshold: hypotheses whose score is further below the best one are dropped.
        lm: n-gram model of words, an ARPA file or a binary one of KenLM; empty: none.
        weight: of the model's log-probabilities (natural logarithm).
        bonus: added for each word.
        silence: added for each space beside those that end words.
    """

    capabilities = frozenset({"beam"})

    def __init__(
        self,
        *,
        beam: int = 16,
        symbols: int = 40,
        threshold: float = 50.0,
        lm: str = "",
        weight: float = 0.5,
        bonus: float = 0.0,
        silence: float = 0.0,
    ) -> None:
        for name, value in (("beam", beam), ("symbols", symbols)):
            if value < 1:
                raise StentorError("must be at least 1.", path=f"decoder.{name}", value=value)
        self.beam, self.symbols, self.threshold, self.lm = beam, symbols, threshold, lm
        self.weight, self.bonus, self.silence = weight, bonus, silence
        self._library = require("flashlight.lib.text.decoder", "flashlight", distribution="stentor-asr")
        self._tokenizer: TextTokenizer | None = None
        self._words: Any = None
        self._space = 0
        self._decoders: dict[int, Any] = {}

    def bind(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer, self._decoders = tokenizer, {}
        if self.lm:
            self._words = self._lexicon(Pieces.of(tokenizer))

    def hypotheses(
        self,
        log_probs: Tensor,
        lengths: Tensor,
        *,
        best: int = 1,
        hotwords: Hotwords | None = None,
        beam: int | None = None,
    ) -> list[list[Hypothesis]]:
        self.refuse(hotwords, beam)
        decoder, sizes = self._decoder(beam or self.beam), lengths.tolist()
        rows = log_probs.detach().float().cpu().numpy()
        heard = [row[:size] for row, size in zip(rows, sizes, strict=True)]
        given = [self._closed(row) for row in heard]
        # All rows are searched before any is read, so that the search keeps the processor's caches to itself.
        found = [decoder.decode(row.ctypes.data, *row.shape) if size else []
                 for row, size in zip(given, sizes, strict=True)]  # fmt: skip
        return [self._readings(results, row, best) for results, row in zip(found, heard, strict=True)]

    @staticmethod
    def _readings(results: Sequence[Any], frames: np.ndarray, best: int) -> list[Hypothesis]:
        found: dict[tuple[int, ...], Hypothesis] = {}
        for result in results:
            # The path begins and ends with a symbol that stands for no frame.
            reading = _reading(np.array(result.tokens[1 : len(frames) + 1]), frames, float(result.score))
            found.setdefault(reading.ids, reading)
            if len(found) == best:
                break
        return list(found.values()) or [Hypothesis((), -math.inf if len(frames) else 0.0)]

    def _closed(self, frames: np.ndarray) -> np.ndarray:
        """The frames in one piece; where in the lexicon every word ends with a space, with one more at the end."""
        if not self._space:
            return np.ascontiguousarray(frames)
        closed = np.full((len(frames) + 1, frames.shape[1]), _NEVER, np.float32)
        closed[:-1] = frames
        closed[-1, self._space] = _CERTAIN
        return closed

    def _decoder(self, beam: int) -> Any:
        if self.lm and self._words is None:
            raise StentorError("it was not told what the tokens spell; call bind first.", path="decoder")
        if beam not in self._decoders:
            self._decoders[beam] = self._with_words(beam) if self.lm else self._without(beam)
        return self._decoders[beam]

    def _without(self, beam: int) -> Any:
        library = self._library
        options = library.LexiconFreeDecoderOptions(
            beam_size=beam,
            beam_size_token=self.symbols,
            beam_threshold=self.threshold,
            lm_weight=0.0,
            sil_score=self.silence,
            log_add=False,
            criterion_type=library.CriterionType.CTC,
        )
        return library.LexiconFreeDecoder(options, library.ZeroLM(), 0, 0, [])

    def _with_words(self, beam: int) -> Any:
        library, (trie, model, unknown) = self._library, self._words
        options = library.LexiconDecoderOptions(
            beam_size=beam,
            beam_size_token=self.symbols,
            beam_threshold=self.threshold,
            lm_weight=self.weight * _LN10,  # KenLM gives decimal logarithms
            word_score=self.bonus,
            unk_score=-math.inf,
            sil_score=self.silence,
            log_add=False,
            criterion_type=library.CriterionType.CTC,
        )
        return library.LexiconDecoder(options, trie, model, self._space, 0, unknown, [], False)

    def _lexicon(self, pieces: Pieces) -> tuple[Any, Any, int]:
        """The trie of spelled words, the model, and the id of the unknown word."""
        kenlm = require("flashlight.lib.text.decoder.kenlm", "flashlight", distribution="stentor-asr")
        dictionary = require("flashlight.lib.text.dictionary", "flashlight", distribution="stentor-asr").Dictionary()
        spelled = {word: ids for word in models.words(self.lm) if (ids := spelling(pieces, word))}
        if not spelled:
            raise StentorError("the model's tokens can spell none of its words.", path="decoder.lm", value=self.lm)
        leading = any(pieces.spelled[ids[0]].startswith(SPACE) for ids in spelled.values())
        self._space = 0 if leading else next((i for i, piece in enumerate(pieces.spelled) if piece == SPACE), 0)
        for word in (*spelled, "<unk>"):
            dictionary.add_entry(word)
        model = kenlm.KenLM(self.lm, dictionary)
        trie = self._library.Trie(len(pieces.spelled), self._space)
        start, end = model.start(False), [self._space] * bool(self._space)
        for word, ids in spelled.items():
            index = dictionary.get_index(word)
            trie.insert([*ids, *end], index, model.score(start, index)[1])
        trie.smear(self._library.SmearingMode.MAX)
        return trie, model, dictionary.get_index("<unk>")

    def __getstate__(self) -> dict[str, Any]:
        hidden: dict[str, Any] = {"_library": None, "_words": None, "_decoders": {}}
        return {**vars(self), **hidden}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._library = require("flashlight.lib.text.decoder", "flashlight", distribution="stentor-asr")
        if self._tokenizer is not None:
            self.bind(self._tokenizer)


def spelling(pieces: Pieces, word: str) -> list[int]:
    """Indices that spell a word; none where the tokens cannot."""
    ids = [i + 1 for i in pieces.tokenizer.encode(word)]
    whole = b"".join(pieces.spelled[i] for i in ids)
    return ids if whole.strip() == word.encode() else []


def _reading(path: np.ndarray, frames: np.ndarray, score: float) -> Hypothesis:
    """Ids, frames and confidences along a path of symbols [T]."""
    starts = np.flatnonzero(np.diff(path, prepend=-1))
    ends = np.append(starts[1:], len(path))
    sums = np.add.reduceat(frames[np.arange(len(path)), np.maximum(path, 0)].astype(np.float64), starts)
    sure = np.exp(np.minimum(0.0, sums / (ends - starts)))
    said = path[starts] > 0
    spans = zip(starts[said].tolist(), ends[said].tolist(), strict=True)
    return Hypothesis(tuple(path[starts][said].tolist()), score, tuple(spans), tuple(sure[said].tolist()))
