"""The Bradley-Terry model of preferences (Bradley and Terry 1952): a better response has a higher score."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from stentor_align.losses.sequences import mean


def of_responses(chosen: Tensor, rejected: Tensor, *, margin: Tensor | float = 0.0, centre: float = 0.0) -> Tensor:
    """``-log sigmoid(chosen - rejected - margin)`` per pair (Ouyang et al. 2022, arXiv 2203.02155).

    Args:
        chosen: score of the chosen response [B].
        rejected: score of the rejected response [B].
        margin: by how much more it is better, [B] or one for all (Touvron et al. 2023, arXiv 2307.09288).
        centre: weight of the squared sum of both scores, which keeps scores around 0 (Eisenstein et al. 2023, arXiv
            2312.09244).

    Returns:
        float [B].
    """
    return -logsigmoid(chosen - rejected - margin) + centre * (chosen + rejected) ** 2


def of_tokens(
    chosen: Tensor,
    chosen_mask: Tensor,
    rejected: Tensor,
    rejected_mask: Tensor,
    *,
    margin: Tensor | float = 0.0,
    centre: float = 0.0,
) -> Tensor:
    """The same, where a response's score is the mean of its tokens' (Yang et al. 2023, arXiv 2306.00398).

    The score of every token is then a reward that reinforcement learning can give where it is earned; the reward
    models of Step-Audio-EditX, too, judge tokens rather than waveforms (arXiv 2511.03601).

    Args:
        chosen: scores of the chosen responses' tokens [B, T].
        chosen_mask: bool [B, T], which of them count.
        rejected: scores of the rejected responses' tokens [B, U].
        rejected_mask: bool [B, U].
        margin: as for `of_responses`.
        centre: as for `of_responses`.

    Returns:
        float [B].
    """
    return of_responses(mean(chosen, chosen_mask), mean(rejected, rejected_mask), margin=margin, centre=centre)
