"""Decoder ``ctc-beam``: prefix beam search with language model and hotwords."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.decoder import Hotwords, Hypothesis, SearchDecoder
from stentor.interfaces.tokenizer import TextTokenizer
from stentor_asr.decoders.frames import Frames
from stentor_asr.decoders.fusion import Fusion
from stentor_asr.decoders.hotwords import Hotwords as Listening
from stentor_asr.decoders.language import Lengths, TokenLanguage, WordLanguage
from stentor_asr.decoders.pieces import Pieces
from stentor_asr.decoders.prefixes import Found, PrefixSearch
from stentor_asr.decoders.timing import timed
from stentor_asr.lm.models import load


class CTCBeam(SearchDecoder):
    """Prefix beam search (arXiv 1408.2873): sums over all paths of a reading, and weighs in what else is known.

    The score of a reading is the log-probability of its tokens, plus `weight` times that of the language model, plus
    `bonus` for each of the model's units, plus the boosts of the hotwords in it.

    Args:
        beam: prefixes kept after every frame.
        symbols: symbols tried in one frame, the likeliest first.
        floor: symbols of a lower log-probability are not tried; a frame in which only the blank reaches it is passed
            over, so that each drops less than exp(floor) of its probability per symbol. Minus infinity: exact.
        lm: n-gram model, an ARPA file (``stentor ngram`` makes one) or a binary one of KenLM; empty: none.
        level: what the model is of. For one of words, a token either begins with a space or holds none.
        weight: of the model's log-probabilities.
        bonus: added for each word, with a model of words, else for each token; makes up for the model's dislike of
            long readings.
        unknown: added for each word that a model of words has not got.
    """

    capabilities = frozenset({"beam", "hotwords"})

    def __init__(
        self,
        *,
        beam: int = 16,
        symbols: int = 40,
        floor: float = -7.0,
        lm: str = "",
        level: Literal["word", "token"] = "word",
        weight: float = 0.5,
        bonus: float = 0.0,
        unknown: float = -10.0,
    ) -> None:
        for name, value in (("beam", beam), ("symbols", symbols)):
            if value < 1:
                raise StentorError("must be at least 1.", path=f"decoder.{name}", value=value)
        self.beam, self.symbols, self.floor = beam, symbols, floor
        self.lm, self.level, self.weight, self.bonus, self.unknown = lm, level, weight, bonus, unknown
        self._pieces: Pieces | None = None
        self._language: Fusion | None = Lengths(bonus) if bonus else None

    def bind(self, tokenizer: TextTokenizer) -> None:
        self._pieces = Pieces.of(tokenizer)
        if self.lm:
            self._language = self._fusion(self._pieces)

    def _fusion(self, pieces: Pieces) -> Fusion:
        model = load(self.lm)
        if self.level == "token":
            return TokenLanguage(model, pieces, weight=self.weight, bonus=self.bonus)
        return WordLanguage(model, pieces, weight=self.weight, bonus=self.bonus, unknown=self.unknown)

    def search(self, log_probs: Tensor, lengths: Tensor) -> list[list[int]]:
        return [list(readings[0][0]) for readings in self._found(log_probs, lengths, 1, None, None)]

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
        return timed(log_probs, lengths, self._found(log_probs, lengths, best, hotwords, beam))

    def _found(
        self, log_probs: Tensor, lengths: Tensor, best: int, hotwords: Hotwords | None, beam: int | None
    ) -> list[Found]:
        frames = Frames.of(log_probs, lengths, self.floor, self.symbols)
        if self.lm:
            self._bound()
        fusions = [self._language] if self._language else []
        if hotwords is not None and any(hotwords):
            fusions.append(Listening(self._bound(), [hotwords[row] for row in frames.order]))
        return PrefixSearch(frames, beam or self.beam, fusions).run(best)

    def _bound(self) -> Pieces:
        if self._pieces is None:
            raise StentorError("it was not told what the tokens spell; call bind first.", path="decoder")
        return self._pieces
