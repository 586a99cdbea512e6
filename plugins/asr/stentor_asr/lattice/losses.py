"""Sequence losses over lattices: CTC, and maximum mutual information without word lattices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import k2
import torch
from torch import Tensor, nn

from stentor_asr.lattice.graphs import token_graph
from stentor_asr.lattice.ngram import NGram

_BEAM = 40.0
Targets = Sequence[Sequence[int]]


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Targets, *, beam: float = _BEAM) -> Tensor:
    """Minus the log-probability of each target, float [B]; infinite where the frames are too few (Graves et al. 2006).

    Args:
        log_probs: float [B, T, V], index 0 the blank.
        lengths: int [B], valid frames, at least 1 each.
        targets: token ids of each utterance.
        beam: paths that lie further behind the best one are left out (natural logarithm).
    """
    graphs = k2.ctc_graph([list(row) for row in targets], device=str(log_probs.device))
    return -_totals(graphs, log_probs, lengths, beam)


class LatticeFreeMMI(nn.Module):
    """Minus the log of a transcript's share among all that an n-gram over tokens allows.

    Povey et al. 2016 (Interspeech, "Purely sequence-trained neural networks for ASR based on lattice-free MMI"), on the
    CTC topology. Numerator and denominator hold the same n-gram, so that the loss is never negative. For a bigram
    the denominator has 2 x tokens x tokens arcs for each utterance of a batch.

    Args:
        lm: over the keys of `symbols`, e.g. `stentor_asr.lattice.ngram.bigram` of the training transcripts.
        symbols: token -> id, from 1.
        beam: paths that lie further behind the best one are left out (natural logarithm).
    """

    def __init__(self, lm: NGram, symbols: Mapping[str, int], *, beam: float = _BEAM) -> None:
        super().__init__()
        self.beam = beam
        self._lm, self._names = lm, {index: name for name, index in symbols.items()}
        self._everything = token_graph(lm, symbols)

    def forward(self, log_probs: Tensor, lengths: Tensor, targets: Targets) -> Tensor:
        """Loss of each utterance, float [B]; 0 where the transcript cannot be said in its frames.

        Args:
            log_probs: float [B, T, V], index 0 the blank.
            lengths: int [B], valid frames, at least 1 each.
            targets: token ids of each utterance.
        """
        numerator, denominator = self.totals(log_probs, lengths, targets)
        possible = torch.isfinite(numerator)
        return torch.where(possible, denominator - numerator, torch.zeros_like(numerator))

    def totals(self, log_probs: Tensor, lengths: Tensor, targets: Targets) -> list[Tensor]:
        """Log of the summed weight of the transcript's paths, and of all paths, float [B] each."""
        prior = [self._lm.sentence([self._names[i] for i in row]) for row in targets]
        said = log_probs.new_tensor(prior) - ctc_loss(log_probs, lengths, targets, beam=self.beam)
        graphs = k2.index_fsa(self._everything, torch.zeros(len(targets), dtype=torch.int32)).to(log_probs.device)
        return [said, _totals(graphs, log_probs, lengths, self.beam)]


def _totals(graphs: k2.Fsa, log_probs: Tensor, lengths: Tensor, beam: float) -> Tensor:
    """Summed over all paths, float [B]; graphs and rows correspond."""
    order = lengths.cpu().sort(descending=True, stable=True).indices
    segments = torch.zeros(len(order), 3, dtype=torch.int32)
    segments[:, 0] = order
    segments[:, 2] = lengths.cpu()[order]
    dense = k2.DenseFsaVec(log_probs.float(), segments)
    picked = k2.index_fsa(graphs, order.to(torch.int32).to(graphs.device))
    lattice = k2.intersect_dense(picked, dense, beam)
    totals = lattice.get_tot_scores(use_double_scores=True, log_semiring=True)
    return totals.to(log_probs.dtype)[torch.argsort(order).to(totals.device)]
