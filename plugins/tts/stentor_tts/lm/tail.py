"""From codes to samples, as they come: the acoustic model and the vocoder of one stream, or a codec that decodes."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from stentor.interfaces.codec import Codec, Codes
from stentor_tts.interfaces import Acoustic, Reference, Vocoder


class Tail(Protocol):
    """One stream of codes on its way to samples."""

    def push(self, codes: Codes, *, last: bool) -> Tensor:
        """Samples float [n] that the next whole groups of codes settle; with `last` all that is left."""
        ...


class MelTail:
    """Codes to frames to samples. What does not stream is done at the end, all at once.

    Args:
        acoustic: codes to frames.
        vocoder: frames to samples.
        reference: whom to sound like.
        seed: of the acoustic model's noise.
    """

    def __init__(self, acoustic: Acoustic, vocoder: Vocoder, reference: Reference | None, seed: int) -> None:
        self._acoustic, self._vocoder, self._reference, self._seed = acoustic, vocoder, reference, seed
        self._frames = acoustic.initial_state(reference, seed=seed) if acoustic.streams else None
        self._samples = vocoder.initial_state(1) if "streaming" in type(vocoder).capabilities else None
        self._codes: list[Codes] = []
        self._mels: list[Tensor] = []

    @torch.no_grad()
    def push(self, codes: Codes, *, last: bool) -> Tensor:
        mel = self._heard(codes, last)
        if mel is None:
            return torch.zeros(0)
        if self._samples is not None:
            wave, self._samples = self._vocoder.step(mel[None], self._samples, last=last)
            return wave[0]
        self._mels.append(mel)
        if not last:
            return mel.new_zeros(0)
        whole = torch.cat(self._mels)
        return self._vocoder(whole[None], torch.tensor([len(whole)], device=whole.device))[0]  # type: ignore[no-any-return]

    def _heard(self, codes: Codes, last: bool) -> Tensor | None:
        """Frames [t, BINS] that are settled now; None where all wait for the end."""
        if self._frames is not None:
            mel, self._frames = self._acoustic.step(codes, self._frames, last=last)
            return mel
        self._codes.append(codes)
        if not last:
            return None
        joined = tuple(torch.cat(book) for book in zip(*self._codes, strict=True))
        return self._acoustic.generate([joined], [self._reference], seed=self._seed)[0]


class CodecTail:
    """Codes to samples by the codec itself.

    Args:
        codec: one that decodes.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._state: Any = codec.initial_decode_state(1) if codec.streams else None
        self._codes: list[Codes] = []

    @torch.no_grad()
    def push(self, codes: Codes, *, last: bool) -> Tensor:
        if self._state is not None:
            wave, self._state = self._codec.decode_step([codes], self._state, last=last)
            return wave[0]
        self._codes.append(codes)
        if not last:
            return torch.zeros(0)
        wave, lengths = self._codec.decode([tuple(torch.cat(book) for book in zip(*self._codes, strict=True))])
        return wave[0, : int(lengths[0])]
