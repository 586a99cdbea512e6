"""Codes to sound: an acoustic model and a vocoder, whole or as the codes come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stentor.errors import StentorError
from stentor.interfaces.codec import Codec, CodecSpec, Codes
from stentor_tts.interfaces import Acoustic, Reference, Vocoder
from stentor_tts.lm.later import Later
from stentor_tts.mel import HOP, SAMPLE_RATE


class Renderer:
    """Speaks codes: through an acoustic model and a vocoder, or through a codec that decodes by itself.

    Args:
        codec: of the codes.
        acoustic: log-mel frames of codes; None: the codec decodes.
        vocoder: waveforms of log-mel frames; None with an acoustic model: Griffin and Lim's (1984).
        seed: of the acoustic model's noise.
    """

    def __init__(
        self, codec: Later[Codec], acoustic: Later[Acoustic] | None, vocoder: Later[Vocoder] | None, seed: int
    ) -> None:
        self.codec, self.acoustic, self.seed = codec, acoustic, seed
        self.vocoder = vocoder or Later[Vocoder]("vocoder", {"name": "griffin-lim"})

    def sample_rate(self, spec: CodecSpec) -> int:
        """Of what it gives (Hz)."""
        return spec.sample_rate if self.acoustic is None else SAMPLE_RATE

    @torch.no_grad()
    def __call__(
        self, codes: Sequence[Codes], references: Sequence[Reference | None], device: torch.device
    ) -> list[Tensor]:
        """Waveforms float [N] of each row.

        Raises:
            StentorError: when there is neither an acoustic model nor a codec that decodes.
        """
        if self.acoustic is None:
            return self._decoded(codes, device)
        mels = self.acoustic.on(device).generate(codes, references, seed=self.seed)
        lengths = torch.tensor([len(mel) for mel in mels], device=device)
        waves = self.vocoder.on(device)(pad_sequence(list(mels), batch_first=True), lengths)
        return [wave[: n * HOP] for wave, n in zip(waves, lengths.tolist(), strict=True)]

    @torch.no_grad()
    def stream(self, groups: Iterator[Codes], reference: Reference | None, device: torch.device) -> Iterator[Tensor]:
        """Pieces float [n] of one utterance's waveform, as soon as its groups of codes settle them.

        What cannot stream waits for the end of the utterance.
        """
        if self.acoustic is None or not _streams(self.acoustic.built):
            whole = _joined(list(groups))
            yield from self([whole], [reference], device) if whole else ()
            return
        acoustic = self.acoustic.on(device)
        speak = _Vocoding(self.vocoder.on(device))
        state = acoustic.initial_state(reference, seed=self.seed)
        held: Codes | None = None
        for codes in groups:
            if held is not None:
                mel, state = acoustic.step(held, state)
                yield from speak(mel)
            held = codes
        if held is not None:
            mel, state = acoustic.step(held, state, last=True)
            yield from speak(mel, last=True)

    def _decoded(self, codes: Sequence[Codes], device: torch.device) -> list[Tensor]:
        codec = self.codec.on(device)
        if "decode" not in codec.capabilities:
            told = (
                f"the codec '{self.codec.name}' does not turn codes into sound; speaking needs sections 'acoustic' and "
            )
            raise StentorError(told + "'vocoder', each with the 'run' that trained it.", path="acoustic")
        waves, lengths = codec.decode(codes)
        return [wave[:n] for wave, n in zip(waves, lengths.tolist(), strict=True)]


class _Vocoding:
    """A vocoder over pieces of one utterance's frames."""

    def __init__(self, vocoder: Vocoder) -> None:
        self.vocoder, self.kept = vocoder, list[Tensor]()
        self.state: Any = vocoder.initial_state(1) if _streams(vocoder) else None

    def __call__(self, mel: Tensor, *, last: bool = False) -> Iterator[Tensor]:
        if self.state is not None:
            samples, self.state = self.vocoder.step(mel[None], self.state, last=last)
            pieces = [samples[0]]
        else:
            self.kept.append(mel)
            pieces = self._whole() if last else []
        yield from (piece for piece in pieces if len(piece))

    def _whole(self) -> list[Tensor]:
        mel = torch.cat(self.kept)
        return [self.vocoder(mel[None], torch.tensor([len(mel)], device=mel.device))[0]] if len(mel) else []


def _streams(part: Acoustic | Vocoder) -> bool:
    declared = getattr(part, "streams", None)
    return "streaming" in part.capabilities if declared is None else bool(declared)


def _joined(groups: Sequence[Codes]) -> Codes | None:
    return tuple(torch.cat(books) for books in zip(*groups, strict=True)) if groups else None
