"""From codes to samples, as they come: the acoustic model and the vocoder of one stream, or a codec that decodes."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from stentor.errors import StentorError
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

    @torch.inference_mode()
    def push(self, codes: Codes, *, last: bool) -> Tensor:
        mel = self._heard(codes, last)
        if self._samples is None:
            self._mels.append(mel)
            if not last:
                return mel.new_zeros(0)
            whole = torch.cat(self._mels)
            return self._vocoder(whole[None], torch.tensor([len(whole)], device=whole.device))[0]  # type: ignore[no-any-return]
        wave, self._samples = self._vocoder.step(mel[None], self._samples, last=last)
        return wave[0]

    def _heard(self, codes: Codes, last: bool) -> Tensor:
        """Frames [t, BINS] that are settled now."""
        if self._frames is not None:
            mel, self._frames = self._acoustic.step(codes, self._frames, last=last)
            return mel
        self._codes.append(codes)
        joined = tuple(torch.cat(book) for book in zip(*self._codes, strict=True))
        if last:
            return self._acoustic.generate([joined], [self._reference], seed=self._seed)[0]
        return self._acoustic.generate([tuple(book[:0] for book in joined)], [None])[0]


class CodecTail:
    """Codes to samples by the codec itself.

    Args:
        codec: one that decodes.

    Raises:
        StentorError: when it does not.
    """

    def __init__(self, codec: Codec) -> None:
        if "decode" not in codec.capabilities:
            raise StentorError("the run makes codes and nothing that turns them into sound; give it an acoustic model, "
                               "e.g. acoustic=flow-dit acoustic.run=RUN.", path="acoustic")  # fmt: skip
        self._codec = codec
        self._state: Any = codec.initial_decode_state(1) if codec.streams else None
        self._codes: list[Codes] = []

    @torch.inference_mode()
    def push(self, codes: Codes, *, last: bool) -> Tensor:
        if self._state is not None:
            wave, self._state = self._codec.decode_step([codes], self._state, last=last)
            return wave[0]
        self._codes.append(codes)
        if not last:
            return torch.zeros(0)
        wave, lengths = self._codec.decode([tuple(torch.cat(book) for book in zip(*self._codes, strict=True))])
        return wave[0, : int(lengths[0])]
