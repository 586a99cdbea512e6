"""Codes to sound: by an acoustic model and a vocoder, or by the codec; whole, or as the codes come."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stentor.errors import StentorError
from stentor.interfaces.codec import Codec, CodecSpec, Codes
from stentor_tts.interfaces import Acoustic, Reference, Vocoder
from stentor_tts.lm.later import Later
from stentor_tts.lm.tail import CodecTail, MelTail, Tail
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
        self,
        codes: Sequence[Codes],
        references: Sequence[Reference | None],
        device: torch.device,
        *,
        seed: int | None = None,
    ) -> list[Tensor]:
        """Waveforms float [N] of each row; `seed` takes the place of our own.

        Raises:
            StentorError: when there is neither an acoustic model nor a codec that decodes.
        """
        if self.acoustic is None:
            waves, sizes = self._decoder(device).decode(codes)
            return [wave[:n] for wave, n in zip(waves, sizes.tolist(), strict=True)]
        mels = self.acoustic.on(device).generate(codes, references, seed=self.seed if seed is None else seed)
        lengths = torch.tensor([len(mel) for mel in mels], device=device)
        waves = self.vocoder.on(device)(pad_sequence(list(mels), batch_first=True), lengths)
        return [wave[: n * HOP] for wave, n in zip(waves, lengths.tolist(), strict=True)]

    def tail(self, reference: Reference | None, device: torch.device, *, seed: int | None = None) -> Tail:
        """For one utterance whose codes come group by group; `seed` takes the place of our own.

        Raises:
            StentorError: when there is neither an acoustic model nor a codec that decodes.
        """
        if self.acoustic is None:
            return CodecTail(self._decoder(device))
        seed = self.seed if seed is None else seed
        return MelTail(self.acoustic.on(device), self.vocoder.on(device), reference, seed)

    def _decoder(self, device: torch.device) -> Codec:
        codec = self.codec.on(device)
        if "decode" not in codec.capabilities:
            told = (
                f"the codec '{self.codec.name}' does not turn codes into sound; speaking needs sections 'acoustic' and "
            )
            raise StentorError(told + "'vocoder', each with the 'run' that trained it.", path="acoustic")
        return codec
