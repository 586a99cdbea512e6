"""When each word was said, from where Whisper's decoder looked while it wrote: cross-attention and time warping.

After OpenAI's ``whisper/timing.py``: the attention of a few heads that follow the audio, normalised over the tokens,
smoothed, averaged, and the cheapest monotonic path through it (dynamic time warping). Then words are drawn to the
pauses in the sound, which attention does not see.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stentor_asr.align.pauses import drawn
from stentor_asr.align.words import fit
from stentor_asr.transcribe.recogniser import Word
from stentor_asr.whisper.sizes import FRAME_SAMPLES, SAMPLE_RATE
from stentor_asr.whisper.vocabulary import Vocabulary

_SMOOTHING = 7  # frames of the median filter
_SPACELESS = ("zh", "ja", "th", "lo", "my", "yue")


@dataclass(frozen=True)
class Written:
    """What was written down of one window.

    Attributes:
        segments: text tokens of each segment.
        scores: log-probability of every token, or None to have them computed.
        samples: of the window, mono float32 [N] at 16 kHz.
        language: code; None in an English-only model.
    """

    segments: Sequence[Sequence[int]]
    scores: Sequence[Sequence[float]] | None
    samples: np.ndarray
    language: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the window."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def tokens(self) -> list[int]:
        """All tokens."""
        return [token for segment in self.segments for token in segment]


def alignment_heads(generation: Mapping[str, Any], layers: int, heads: int) -> list[tuple[int, int]]:
    """(layer, head) of the heads that follow the audio: those the checkpoint names, else all of the upper half."""
    told = generation.get("alignment_heads")
    if told:
        return [(int(layer), int(head)) for layer, head in told]
    return [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]


@torch.inference_mode()
def word_times(
    model: Any, vocabulary: Vocabulary, heads: Sequence[tuple[int, int]], encoded: Tensor, windows: Sequence[Written]
) -> list[list[tuple[Word, ...]]]:
    """The words of every segment of every window, with times from the window's beginning.

    Args:
        model: ``transformers``' WhisperForConditionalGeneration.
        vocabulary: of the model.
        heads: from `alignment_heads`.
        encoded: encoder frames [B, T, D] of the windows.
        windows: what was written.
    """
    specials = vocabulary.specials
    prompts = [
        [specials.start, *([specials.languages[one.language], specials.transcribe] if one.language else []),
         specials.no_timestamps]
        for one in windows
    ]  # fmt: skip
    rows = [[*prompt, *one.tokens, specials.end] for prompt, one in zip(prompts, windows, strict=True)]
    tokens = torch.full((len(rows), max(map(len, rows))), specials.end, device=encoded.device)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    looks, hidden = attention(model.model.decoder, tokens, encoded, heads)
    found = []
    for index, (prompt, one) in enumerate(zip(prompts, windows, strict=True)):
        frames = max(1, min(encoded.shape[1], math.ceil(one.seconds * SAMPLE_RATE / FRAME_SAMPLES)))
        edges = _edges(looks[index, :, : len(rows[index]), :frames], len(prompt) - 1)
        scores = one.scores or _scores(model, hidden[index, len(prompt) - 1 :], one.segments)
        segments = list(_segments(vocabulary, one, edges, scores))
        words = drawn(fit(list(chain(*segments)), 0.0, one.seconds), one.samples, SAMPLE_RATE)
        settled = iter(fit(words, 0.0, one.seconds))
        found.append([tuple(islice(settled, len(segment))) for segment in segments])
    return found


def attention(network: Any, tokens: Tensor, encoded: Tensor, heads: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """What the heads look at before their softmax [B, heads, t, T], and the last hidden states [B, t, D].

    Args:
        network: ``transformers``' WhisperDecoder.
        tokens: int64 [B, t], said one after the other; what follows a row's end changes nothing before it.
        encoded: [B, T, D].
        heads: (layer, head) each.
    """
    count = network.config.decoder_attention_heads

    def split(hidden: Tensor) -> Tensor:
        return hidden.view(*hidden.shape[:2], count, -1).transpose(1, 2)

    hidden = network.embed_tokens(tokens) + network.embed_positions.weight[: tokens.shape[1]]
    looks: dict[tuple[int, int], Tensor] = {}
    for index, layer in enumerate(network.layers):
        own, crossing = layer.self_attn, layer.encoder_attn
        normed = layer.self_attn_layer_norm(hidden)
        query, key, value = (split(project(normed)) for project in (own.q_proj, own.k_proj, own.v_proj))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        hidden = hidden + own.out_proj(mixed.transpose(1, 2).flatten(2))
        query = split(crossing.q_proj(layer.encoder_attn_layer_norm(hidden)))
        key, value = split(crossing.k_proj(encoded)), split(crossing.v_proj(encoded))
        for at, head in heads:
            if at == index:
                looks[at, head] = query[:, head] @ key[:, head].transpose(1, 2) * query.shape[-1] ** -0.5
        mixed = functional.scaled_dot_product_attention(query, key, value)
        hidden = hidden + crossing.out_proj(mixed.transpose(1, 2).flatten(2))
        hidden = hidden + layer.fc2(functional.gelu(layer.fc1(layer.final_layer_norm(hidden))))
    return torch.stack([looks[layer, head] for layer, head in heads], 1), hidden


def _edges(looks: Tensor, skipped: int) -> np.ndarray:
    """Frame at which each token begins, and the end of the last [tokens + 1].

    Args:
        looks: [heads, t, T] of one window, all its tokens and none of the padding.
        skipped: tokens of the prompt before the one that the first word follows.
    """
    weights = looks.softmax(-1)
    deviation, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    weights = smoothed((weights - mean) / deviation.clamp(min=1e-10))
    matrix = weights.mean(0)[skipped:-1]
    tokens, frames = warp(-matrix.double().cpu().numpy())
    return frames[np.diff(tokens, prepend=-1) > 0]


def smoothed(weights: Tensor) -> Tensor:
    """Median of 7 neighbouring frames, the ends mirrored; too few frames are left as they are."""
    reach = _SMOOTHING // 2
    if weights.shape[-1] <= reach:
        return weights
    return functional.pad(weights, (reach, reach), mode="reflect").unfold(-1, _SMOOTHING, 1).median(-1).values


def warp(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cheapest path from the first to the last corner of costs [N, M], by steps right, down or both.

    Returns:
        Row and column of every cell of the path, in order.
    """
    total = np.full((costs.shape[0] + 1, costs.shape[1] + 1), np.inf)
    total[0, 0] = 0.0
    for row, cost in enumerate(costs, 1):
        # Steps right chain along the row: min over k <= j of the entry at k plus all costs from k to j.
        summed = np.cumsum(cost)
        entry = np.minimum(total[row - 1, :-1], total[row - 1, 1:])
        total[row, 1:] = summed + np.minimum.accumulate(entry - summed + cost)
    row, column = costs.shape
    path = []
    while row and column:
        path.append((row - 1, column - 1))
        both, down, right = total[row - 1, column - 1], total[row - 1, column], total[row, column - 1]
        if both < down and both < right:
            row, column = row - 1, column - 1
        elif down < both and down < right:
            row -= 1
        else:
            column -= 1
    rows, columns = np.array(path[::-1]).T
    return rows, columns


def _scores(model: Any, hidden: Tensor, segments: Sequence[Sequence[int]]) -> list[list[float]]:
    tokens = torch.tensor([token for segment in segments for token in segment], device=hidden.device)
    logits = model.proj_out(model.model.decoder.layer_norm(hidden[: len(tokens)]))
    flat = iter(logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0].tolist())
    return [[next(flat) for _ in segment] for segment in segments]


def _segments(
    vocabulary: Vocabulary, written: Written, edges: np.ndarray, scores: Sequence[Sequence[float]]
) -> Iterator[list[Word]]:
    at, step = 0, FRAME_SAMPLES / SAMPLE_RATE
    for tokens, sure in zip(written.segments, scores, strict=True):
        words = []
        for text, spoken, whole in _words(vocabulary, tokens, apart=written.language in _SPACELESS):
            start, end = (min(float(edges[at + place]) * step, written.seconds) for place in spoken)
            score = math.fsum(sure[whole[0] : whole[1]]) / (whole[1] - whole[0])
            words.append(Word(start, end, text, math.exp(min(0.0, score))))
        yield words
        at += len(tokens)


def _words(
    vocabulary: Vocabulary, tokens: Sequence[int], *, apart: bool
) -> Iterator[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Each word's text, the tokens between its marks (a pause may lie in a comma), and all its tokens."""
    pieces = list(_pieces(vocabulary, tokens))
    starts = [index for index, (text, _, _) in enumerate(pieces) if apart or not index or text[:1].isspace()]
    for begin, end in zip(starts, [*starts[1:], len(pieces)], strict=True):
        inside = pieces[begin:end]
        text = "".join(piece for piece, _, _ in inside).strip()
        if not text:
            continue
        said = [piece for piece in inside if any(character.isalnum() for character in piece[0])] or inside
        yield text, (said[0][1], said[-1][2]), (inside[0][1], inside[-1][2])


def _pieces(vocabulary: Vocabulary, tokens: Sequence[int]) -> Iterator[tuple[str, int, int]]:
    """Text and range of the fewest tokens that are whole characters."""
    begin = 0
    for end in range(1, len(tokens) + 1):
        text = vocabulary.text(tokens[begin:end])
        if "\N{REPLACEMENT CHARACTER}" not in text or end == len(tokens):
            yield text, begin, end
            begin = end
