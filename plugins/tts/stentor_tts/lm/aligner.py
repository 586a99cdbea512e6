"""Which codes are which word's: a hidden Markov model between text and codes that learns while the model trains."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

_ADVANCE = 2
"""Most symbols from one code to the next; at 40 codes a second speech needs far fewer."""
_PRIOR = 2.0
"""Codes that every symbol is taken to have had, spread as codes are over all symbols."""
_KEEP = 0.98
_FIRST_ROUNDS = 6
_FLAT_WIDTH = 1.5
"""Before anything is known: standard deviation around proportional places (symbols)."""


class Aligner(nn.Module):
    """Symbols of text emit codes, left to right; silence may stand at both ends.

    Its table is estimated by stepwise expectation-maximisation (Liang and Klein, 2009): every training batch is aligned
    with what is known so far, and adds its expected counts to those of earlier batches, which fade. It is exact where
    transitions are: each of the next `_ADVANCE` symbols is as likely, and so is staying.

    Args:
        symbols: ids of text.
        codes: ids of codes.

    Attributes:
        counts: float [symbols + 1, codes], how often each symbol has emitted each code; the last row is silence.
    """

    counts: Tensor

    def __init__(self, symbols: int, codes: int) -> None:
        super().__init__()
        self.silence = symbols
        self.register_buffer("counts", torch.zeros(symbols + 1, codes))

    def forward(self, texts: Sequence[Sequence[int]], codes: Sequence[Tensor]) -> list[Tensor]:
        """For every row float64 [T, S + 2]: the chance that code t is of symbol s of the text.

        Symbol 0 and the last one are silence. While training, what is found is learnt from.

        Args:
            texts: ids of each row, S of them.
            codes: int64 [T] of each row, from 0 on.
        """
        symbols = [torch.tensor([self.silence, *text, self.silence], device=self.counts.device) for text in texts]
        rows = Rows(symbols, [row.to(self.counts.device) for row in codes])
        with torch.no_grad():
            if self.training:
                self._learn(rows)
            places = self._places(rows)
        sizes = zip(places, rows.spans.tolist(), rows.lengths.tolist(), strict=True)
        return [place[:time, :span] for place, span, time in sizes]

    def _learn(self, rows: Rows) -> None:
        begun = bool(self.counts.any())
        for _ in range(1 if begun else _FIRST_ROUNDS):
            found = rows.counts(self._places(rows), *self.counts.shape)
            self.counts.copy_(self.counts * _KEEP + found if begun else found)

    def _places(self, rows: Rows) -> Tensor:
        flat = rows.flat()
        if not self.counts.any():
            return flat
        found, possible = rows.posterior(self._table())
        return torch.where(possible[:, None, None], found, flat)

    def _table(self) -> Tensor:
        """Probability float64 [symbols + 1, codes] of each code, given the symbol."""
        counts = self.counts.double()
        general = counts.sum(0) + 0.1
        return (counts + _PRIOR * general / general.sum()) / (counts.sum(1, keepdim=True) + _PRIOR)


class Rows:
    """Texts and codes of a batch, padded."""

    def __init__(self, symbols: Sequence[Tensor], codes: Sequence[Tensor]) -> None:
        device = symbols[0].device
        self.symbols, self.codes = (pad_sequence(list(rows), batch_first=True) for rows in (symbols, codes))
        self.spans = torch.tensor([len(row) for row in symbols], device=device)
        self.lengths = torch.tensor([len(row) for row in codes], device=device)
        time, span = self.codes.shape[1], self.symbols.shape[1]
        self.in_time = torch.arange(time, device=device)[None] < self.lengths[:, None]
        self.in_span = torch.arange(span, device=device)[None] < self.spans[:, None]

    def flat(self) -> Tensor:
        """Chances [B, T, S] of proportional places."""
        time, span = (
            torch.arange(n, device=self.codes.device).double() + 0.5
            for n in (self.codes.shape[1], self.symbols.shape[1])
        )
        middle = time[None] / self.lengths[:, None].clamp(min=1) * self.spans[:, None]
        near = (-0.5 * ((span[None, None] - middle[..., None]) / _FLAT_WIDTH).square()).exp() * self.in_span[:, None]
        return near / near.sum(-1, keepdim=True).clamp(min=1e-300) * self.in_time[..., None]

    def posterior(self, table: Tensor) -> tuple[Tensor, Tensor]:
        """Chances [B, T, S] by the forward-backward algorithm, and for which rows there is a path at all, bool [B]."""
        emitted = table[self.symbols[:, None], self.codes[..., None]]
        emitted = torch.where(self.in_span[:, None], emitted, 0.0)
        emitted = emitted / emitted.amax(-1, keepdim=True).clamp(min=1e-300)
        both = _forward(torch.cat([emitted, self._turned(emitted)]))
        ahead, behind = both[: len(emitted)], self._turned(both[len(emitted) :])
        joint = ahead * behind / emitted.clamp(min=1e-300) * self.in_time[..., None]
        total = joint.sum(-1, keepdim=True)
        possible = ((total[..., 0] > 0) | ~self.in_time).all(1)
        return joint / total.clamp(min=1e-300), possible

    def _turned(self, rows: Tensor) -> Tensor:
        """Rows [B, T, S] with time and symbols reversed, each within its own lengths."""
        time, span = (torch.arange(n, device=rows.device)[None] for n in rows.shape[1:])
        at_time = torch.where(self.in_time, self.lengths[:, None] - 1 - time, time)
        at_span = torch.where(self.in_span, self.spans[:, None] - 1 - span, span)
        turned = rows.gather(1, at_time[..., None].expand_as(rows))
        return turned.gather(2, at_span[:, None].expand_as(rows))

    def counts(self, places: Tensor, symbols: int, codes: int) -> Tensor:
        """Expected counts float [symbols, codes] under chances [B, T, S]."""
        cells = self.symbols[:, None] * codes + self.codes[..., None]
        found = torch.zeros(symbols * codes, dtype=places.dtype, device=places.device)
        return found.index_add_(0, cells.reshape(-1), places.reshape(-1)).view(symbols, codes)


def _forward(emitted: Tensor) -> Tensor:
    """Scaled forward variables [B, T, S] of emission probabilities; a row begins with its first or second symbol."""
    now = emitted[:, 0].clone()
    now[:, _ADVANCE:] = 0
    found = [now]
    for step in emitted.unbind(1)[1:]:
        reached = now.clone()
        for ahead in range(1, _ADVANCE + 1):
            reached[:, ahead:] += now[:, :-ahead]
        now = reached * step
        now = now / now.sum(-1, keepdim=True).clamp(min=1e-300)
        found.append(now)
    return torch.stack(found, 1)


def starts(places: Tensor, firsts: Sequence[int]) -> list[int]:
    """How many codes come before each of the symbols `firsts`, of chances [T, S] from `Aligner`; never falling."""
    beyond = places.flip(-1).cumsum(-1).flip(-1)  # the chance to have come as far as symbol s
    return [int((beyond[:, first] < 0.5).sum()) for first in firsts]
