"""Task ``ctc``: transcribe with an encoder and connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import Problem
from stentor.interfaces.decoder import Hypothesis, SearchDecoder
from stentor.interfaces.encoder import Encoder
from stentor.interfaces.task import Loss, Task
from stentor.interfaces.tokenizer import TextTokenizer
from stentor.train.assembly import build_role, build_text, class_of_role
from stentor_asr.align.words import fit
from stentor_asr.alignment import ctc_path
from stentor_asr.decoders.beam import CTCBeam
from stentor_asr.decoders.greedy import CTCGreedy
from stentor_asr.decoders.pieces import Pieces
from stentor_asr.decoders.words import mean_confidence, spoken
from stentor_asr.features import HasFeatures
from stentor_asr.transcribe.recogniser import Request, Segment

Sections = Mapping[str, Mapping[str, Any]]
_SLOWEST = 4.0  # frames per second that can still carry the words of speech


class CTCTask(Task):
    """Encoder, one linear layer, CTC loss (Graves et al. 2006, ICML); index 0 is the blank, text ids move up by one.

    An utterance whose transcript needs more frames than it has costs nothing and is counted as ``unfit``.

    Args:
        dropout: before the linear layer.
    """

    roles: ClassVar[Mapping[str, str]] = {"encoder": "encoder", "text": "tokenizer", "decoder": "decoder"}

    def __init__(self, encoder: Encoder, text: TextTokenizer, decoder: SearchDecoder, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder, self.text, self.decoder = encoder, text, decoder
        decoder.bind(text)
        self._searching: SearchDecoder | None = None
        self._spelled: Pieces | None = None
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(encoder.dim, text.size + 1)

    @classmethod
    def assemble(
        cls,
        sections: Sections,
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        **configured: Any,
    ) -> CTCTask:
        text: TextTokenizer = build_text(cls, sections, texts, state)
        encoder: Encoder = build_role(cls, sections, "encoder")
        decoder: SearchDecoder = build_role(cls, sections, "decoder")
        return cls(encoder, text, decoder, **configured)

    @classmethod
    def check(cls, sections: Sections, **configured: Any) -> list[Problem]:
        options = {key: value for key, value in sections["encoder"].items() if key != "name"}
        rate = class_of_role(cls, sections, "encoder").spec(**options).frame_rate
        if rate >= _SLOWEST:
            return []
        return [Problem(f"{rate:.3g} frames/s are too few for CTC, which gives at most one token per frame; "
                        f"at least {_SLOWEST:g} are needed.", path="encoder")]  # fmt: skip

    @property
    def sample_rate(self) -> int:
        return self.encoder.sample_rate

    @property
    def frame_rate(self) -> float:
        """Of `posteriors` (Hz)."""
        return self.encoder.frame_rate

    def cached_encoder(self) -> nn.Module | None:
        """The encoder if it is frozen, else the part of it that has no weights: its features."""
        if not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            return self.encoder
        return self.encoder.features if isinstance(self.encoder, HasFeatures) else None

    def state(self) -> dict[str, Any]:
        return {"text": dict(self.text.state())}

    def training_loss(self, batch: Mapping[str, Any]) -> Loss:
        log_probs, lengths = self.posteriors(batch)
        ids = [[i + 1 for i in self.text.encode(text)] for text in batch["texts"]]
        targets = torch.tensor([i for row in ids for i in row], dtype=torch.int64, device=log_probs.device)
        counts = torch.tensor([len(row) for row in ids])
        losses = functional.ctc_loss(
            log_probs.transpose(0, 1), targets, lengths.cpu(), counts, reduction="none", zero_infinity=True
        )
        units = max(1, int(counts.sum()))
        unfit = sum(needed(row) > length for row, length in zip(ids, lengths.tolist(), strict=True))
        return Loss(losses.sum() / units, units, {"unfit": float(unfit)})

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        found = self.decoder.search(*self.posteriors(batch))
        return [self.text.decode([i - 1 for i in row]) for row in found]

    @property
    def abilities(self) -> frozenset[str]:
        """What a `Request` may ask of `recognise`: words, and what its decoder can (``ctc-beam``, for a greedy one)."""
        can = CTCBeam.capabilities if isinstance(self.decoder, CTCGreedy) else self.decoder.capabilities
        return can & {"beam", "hotwords"} | {"words"}

    @torch.inference_mode()
    def recognise(self, batch: Mapping[str, Any], request: Request) -> list[Segment]:
        """What is said in each row, with confidences, and words if they are asked for; times from the row's beginning.

        The greedy decoder leaves a request for a beam or hotwords to ``ctc-beam``; any other one may hold a language
        model, which that would not have.
        """
        seconds = (batch["audio_lengths"] / self.sample_rate).tolist()
        return self.read(*self.posteriors(batch), seconds, request)

    @torch.inference_mode()
    def read(self, log_probs: Tensor, lengths: Tensor, seconds: Sequence[float], request: Request) -> list[Segment]:
        """`recognise` from what `posteriors` gave for rows that last `seconds`: a stream has them already."""
        rows = [request.hotwords] * len(lengths) if request.hotwords else None
        found = self._decoder_for(request).hypotheses(log_probs, lengths, hotwords=rows, beam=request.beam)
        return [self._segment(row[0], end, request) for row, end in zip(found, seconds, strict=True)]

    def _decoder_for(self, request: Request) -> SearchDecoder:
        if not isinstance(self.decoder, CTCGreedy) or not request.asked & {"beam", "hotwords"}:
            return self.decoder
        if self._searching is None:
            self._searching = CTCBeam()
            self._searching.bind(self.text)
        return self._searching

    def _segment(self, reading: Hypothesis, end: float, request: Request) -> Segment:
        text = " ".join(self._pieces.text(reading.ids).split())
        words = spoken(self._pieces, reading, self.encoder.frame_rate) if request.words else ()
        return Segment(0.0, end, text, mean_confidence(reading.confidence), fit(words, 0.0, end))

    @property
    def _pieces(self) -> Pieces:
        if self._spelled is None:
            self._spelled = Pieces.of(self.text)
        return self._spelled

    @torch.inference_mode()
    def align(self, batch: Mapping[str, Any], outputs: Sequence[str]) -> list[list[tuple[str, float, float]]]:
        rows = zip(*self.posteriors(batch), outputs, strict=True)
        return [self._times(row[: int(length)], output) for row, length, output in rows]

    def _times(self, log_probs: Tensor, output: str) -> list[tuple[str, float, float]]:
        ids, rate = self.text.encode(output), self.encoder.frame_rate
        path = ctc_path(log_probs, [i + 1 for i in ids])
        pairs = zip(ids, path, strict=False)
        return [(self.text.decode([i]), first / rate, (last + 1) / rate) for i, (first, last) in pairs]

    def posteriors(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Log-probabilities float32 [B, T, size + 1], 0 the blank and text ids one higher, and valid frames [B]."""
        if "frames" not in batch:
            frames, lengths = self.encoder(batch["audio"], batch["audio_lengths"])
        elif self.cached_encoder() is self.encoder:
            frames, lengths = batch["frames"].to(self.out.weight.dtype), batch["frame_lengths"]
        else:
            in_parts = cast(HasFeatures, self.encoder)
            frames, lengths = in_parts.encode(batch["frames"], batch["frame_lengths"])
        return self.out(self.dropout(frames)).float().log_softmax(-1), lengths


def needed(ids: Sequence[int]) -> int:
    """Fewest frames that CTC can spell `ids` in: one for each, and a blank between equal neighbours."""
    return len(ids) + sum(left == right for left, right in pairwise(ids))
