"""Decoder ``k2``: pruned search through a weighted graph of topology, lexicon and language model."""

from __future__ import annotations

import importlib
import math
import sys
from typing import Any, Literal

import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor.interfaces.decoder import Hotwords, Hypothesis, SearchDecoder
from stentor.interfaces.tokenizer import TextTokenizer
from stentor_asr.decoders.pieces import Pieces
from stentor_asr.decoders.timing import Scored, timed
from stentor_asr.lattice.vocabulary import Spoken, lexicon, model_of, token_labels


class K2Decoder(SearchDecoder):
    """The best path through a decoding graph of k2: CTC topology, and if there is a language model, its n-grams.

    With a model of words nothing is heard but its words, spelled as the tokenizer spells them; with one of tokens,
    nothing but its tokens. A reading's score is that of its best path.

    Args:
        lm: n-gram model, an ARPA file; empty: none.
        level: what the model is of.
        weight: of the model's log-probabilities.
        search_beam: how far behind the best state of a frame another one may lie (natural logarithm).
        output_beam: how far behind the best path a path may lie to be among the readings (natural logarithm).
        fewest: states kept in every frame, whatever the beam.
        most: states kept in every frame at most.

    Raises:
        StentorError: where k2 is not installed, naming the wheel to install.
    """

    def __init__(
        self,
        *,
        lm: str = "",
        level: Literal["word", "token"] = "word",
        weight: float = 0.5,
        search_beam: float = 20.0,
        output_beam: float = 8.0,
        fewest: int = 30,
        most: int = 10000,
    ) -> None:
        check_installed()
        self.lm, self.level, self.weight = lm, level, weight
        self.beam: dict[str, Any] = {"search": search_beam, "output": output_beam, "fewest": fewest, "most": most}
        self._words: Spoken | None = None
        self._graph: Any = None

    def bind(self, tokenizer: TextTokenizer) -> None:
        from stentor_asr.lattice import graphs

        if not self.lm:
            return
        pieces, model = Pieces.of(tokenizer), model_of(self.lm)
        if self.level == "token":
            self._graph = graphs.token_graph(model, token_labels(model, pieces), weight=self.weight)
            return
        self._words = words = lexicon(model, pieces)
        self._graph = graphs.word_graph(
            model, words.labels, words.pronunciations, separator=words.separator, weight=self.weight
        )

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
        heard = torch.nonzero(lengths.cpu() > 0)[:, 0]
        rows: list[Scored] = [[((), 0.0 if not length else -math.inf)] for length in lengths.tolist()]
        if len(heard):
            found = self._found(log_probs[heard.to(log_probs.device)], lengths.cpu()[heard], best)
            for row, readings in zip(heard.tolist(), found, strict=True):
                rows[row] = readings or rows[row]
        return timed(log_probs, lengths, rows)

    def _found(self, log_probs: Tensor, lengths: Tensor, best: int) -> list[Scored]:
        from stentor_asr.lattice import search

        lattice = search.lattices(log_probs, lengths, self._graph_for(log_probs), search.Beam(**self.beam))
        if best == 1:
            scores = search.best_scores(lattice).tolist()
            pairs = zip(search.best(lattice)[0], scores, strict=True)
            return [[(tuple(tokens), score)] if score > -math.inf else [] for tokens, score in pairs]
        lists = search.n_best(lattice, best)
        return [[(self._spelled(one.symbols), one.score) for one in readings] for readings in lists]

    def _spelled(self, symbols: tuple[int, ...]) -> tuple[int, ...]:
        return self._words.tokens(symbols) if self._words else symbols

    def _graph_for(self, log_probs: Tensor) -> Any:
        from stentor_asr.lattice import graphs

        if self._graph is None:
            if self.lm:
                raise StentorError("it was not told what the tokens spell; call bind first.", path="decoder")
            self._graph = graphs.topology(log_probs.shape[-1] - 1)
        self._graph = self._graph.to(log_probs.device)
        return self._graph


def check_installed() -> None:
    """Raise a `StentorError` that names the wheel to install, where k2 cannot be imported."""
    try:
        importlib.import_module("k2")
    except ImportError as cause:
        release, _, build = torch.__version__.partition("+")
        page = "https://k2-fsa.github.io/k2/" + ("cuda.html" if build.startswith("cu") else "cpu.html")
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise StentorError(
            f"k2 is not installed, or not for this torch ({cause}).",
            suggestion=f"Install the wheel whose name holds torch{release} and is for Python {python}: "
            f"pip install k2 --no-index --find-links {page}",
        ) from cause
