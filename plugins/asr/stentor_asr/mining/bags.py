"""Bags of instances: what a recogniser heard in each utterance, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stentor.data.collate import collate
from stentor.errors import StentorError
from stentor.model.speech_lm import flatten
from stentor.sequence.packing import pack
from stentor_asr import layout
from stentor_asr.ctc import CTCTask
from stentor_asr.speech_lm import SpeechLMTask

if TYPE_CHECKING:
    from stentor.interfaces.task import Task
    from stentor_asr.mining.pool import Clip

Times = Sequence[tuple[str, float, float]]

TOP, ENTROPY, MARGIN, NOTHING = range(4)
"""Columns of `Bag.posteriors`."""


@dataclass(frozen=True)
class Bag:
    """One utterance as multiple-instance learning sees it.

    Attributes:
        id: of the utterance.
        seconds: its length (s).
        frames: hidden states of the recogniser, float32 [T, D], one row an instance.
        posteriors: float32 [T, 4]: the log-probability of the likeliest symbol, the entropy of the distribution (nats),
            the log-probability by which the likeliest leads the second, and the probability of saying nothing (CTC's
            blank; 0 where there is no such symbol).
        times: start and end of every instance, float32 [T, 2] (s); NaN where the recogniser does not tell.
        hypothesis: what the recogniser wrote.
    """

    id: str
    seconds: float
    frames: Tensor
    posteriors: Tensor
    times: Tensor
    hypothesis: str

    @property
    def confidence(self) -> float:
        """Geometric mean of the likeliest symbols' probabilities, in (0, 1]; 0 where nothing was heard."""
        return float(self.posteriors[:, TOP].mean().exp()) if len(self.posteriors) else 0.0

    @property
    def entropy(self) -> float:
        """Mean entropy of the instances (nats)."""
        return float(self.posteriors[:, ENTROPY].mean()) if len(self.posteriors) else 0.0


@torch.inference_mode()
def listen(task: Task, clips: Sequence[Clip], waves: Sequence[Tensor]) -> list[Bag]:
    """The bags of a batch; the task is given audio alone.

    Args:
        task: a recogniser in evaluation mode.
        clips: the rows.
        waves: float [N] of each at the task's sample rate.

    Raises:
        StentorError: for a task that does not show what it heard.
    """
    device = next(task.parameters()).device
    batch = collate([clip.utterance() for clip in clips], waves)
    batch = {key: value.to(device) if isinstance(value, Tensor) else value for key, value in batch.items()}
    if isinstance(task, CTCTask):
        return _by_frame(task, clips, batch)
    if isinstance(task, SpeechLMTask):
        return _by_token(task, clips, batch)
    raise StentorError(
        f"its task, {type(task).__name__}, does not show what it heard; mine with a run of task ctc or speech-lm.",
        path="RUN",
    )


def statistics(log_probs: Tensor, nothing: int | None) -> Tensor:
    """Columns of `Bag.posteriors` [..., 4] of log-probabilities [..., V]; `nothing` is the index of the blank."""
    best = log_probs.topk(2, dim=-1).values
    entropy = -(log_probs.exp() * log_probs).nan_to_num(0.0).sum(-1)
    silent = log_probs[..., nothing].exp() if nothing is not None else torch.zeros_like(entropy)
    return torch.stack([best[..., 0], entropy, best[..., 0] - best[..., 1], silent], -1)


def _by_frame(task: CTCTask, clips: Sequence[Clip], batch: dict[str, Any]) -> list[Bag]:
    """An instance is a frame of the encoder."""
    frames, lengths = task.encoder(batch["audio"], batch["audio_lengths"])
    log_probs = task.out(frames).float().log_softmax(-1)
    found = task.decoder.search(log_probs, lengths)
    texts = [task.text.decode([i - 1 for i in row]) for row in found]
    posteriors = statistics(log_probs, nothing=0).cpu()
    frames, step = frames.float().cpu(), 1 / task.encoder.frame_rate
    bags = []
    for row, (clip, count) in enumerate(zip(clips, lengths.tolist(), strict=True)):
        starts = torch.arange(count) * step
        times = torch.stack([starts, (starts + step).clamp(max=clip.duration)], 1)
        bags.append(Bag(clip.id, clip.duration, frames[row, :count].clone(), posteriors[row, :count].clone(), times,
                        texts[row]))  # fmt: skip
    return bags


def _by_token(task: SpeechLMTask, clips: Sequence[Clip], batch: dict[str, Any]) -> list[Bag]:
    """An instance is a token of the transcript that the model wrote, or the end of it."""
    texts = task.predict(batch)
    frames, lengths = task.encoder(batch["audio"], batch["audio_lengths"])
    heard, lengths = task.model.hear(frames, lengths)
    ids = [task.text.encode(text) for text in texts]
    spans = [layout.transcript(task.vocabulary, n, row) for n, row in zip(lengths.tolist(), ids, strict=True)]
    packed = pack(spans)
    places = (packed.targets >= 0).nonzero().squeeze(1)
    hidden = task.model(packed, flatten(heard, lengths))[places]
    posteriors = statistics(task.model.backbone.project(hidden).float().log_softmax(-1), nothing=None).cpu()
    counts = [len(row) + 1 for row in ids]
    found: Sequence[Times | None] = task.align(batch, texts) or [None] * len(clips)
    rows = zip(clips, torch.split(hidden.float().cpu(), counts), torch.split(posteriors, counts), found, texts,
               strict=True)  # fmt: skip
    return [
        Bag(clip.id, clip.duration, states, chances, _times(aligned, len(states), clip.duration), text)
        for clip, states, chances, aligned, text in rows
    ]


def _times(aligned: Times | None, count: int, seconds: float) -> Tensor:
    """Start and end of each token, the end of the transcript at the end of the audio; NaN where they are not known."""
    if aligned is None or len(aligned) != count - 1:
        return torch.full((count, 2), torch.nan)
    last = aligned[-1][2] if aligned else 0.0
    rows = [(start, end) for _, start, end in aligned] + [(min(last, seconds), seconds)]
    return torch.tensor(rows).clamp(max=seconds)
