"""Speaker embeddings by Resemblyzer's encoder, whose weights its package brings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import metadata, util
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import StentorError
from stentor_tts.measures.level import frame_levels
from stentor_tts.mel import SAMPLE_RATE, filters

WIDTH = 256
INSTALL = "pip install --no-deps resemblyzer==0.1.4"
_SHA256 = "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
_BINS, _FFT, _HOP, _PART = 40, 400, 160, 160
_STEP, _COVERED = 77, 0.75
_LEVEL_DB, _SILENT_DB, _PAUSE = -30.0, 40.0, 20


class SpeakerEncoder(nn.Module):
    """Waveforms to embeddings of who speaks: the last state of three LSTM layers over 40 mel bands, of unit length.

    Wan et al. 2018, "Generalized end-to-end loss for speaker verification" (arXiv:1710.10467); trained by Resemblyzer's
    authors (Apache-2.0) on VoxCeleb and LibriSpeech. The network and its front end are written out here, so that of the
    package only the weights are read: it asks for the obsolete distribution `typing` and is installed without what it
    asks for. Silence is cut by level, not by WebRTC's detector, so that embeddings are near the package's, not equal.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BINS, WIDTH, 3, batch_first=True)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def load_pretrained(self) -> dict[str, str]:
        """Read the weights; gives their provenance.

        Raises:
            StentorError: when the package is not installed or its file is another one.
        """
        path = _file()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != _SHA256:
            raise StentorError(f"has content hash {digest[:12]}..., not the pinned {_SHA256[:12]}...; it is refused.",
                               path=str(path), suggestion=f"Install it again: {INSTALL}")  # fmt: skip
        told = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        self.load_state_dict({name: told[name] for name in self.state_dict()})
        self.eval().requires_grad_(False)
        return {"source": f"package resemblyzer {metadata.version('resemblyzer')}", "sha256": digest}

    @torch.inference_mode()
    def embed(self, waves: Sequence[Tensor]) -> Tensor:
        """Embeddings float [B, 256] of unit length of waveforms [N_i] at 16 kHz; zeros for silence.

        An utterance's embedding is the mean of those of its stretches of 1.6 s, which begin every 0.77 s.
        """
        parts = [_parts(_prepared(wave)) for wave in waves]
        rows = [self._embed(part) if len(part) else torch.zeros(WIDTH) for part in parts]
        return torch.stack(rows) if rows else torch.zeros(0, WIDTH)

    def _embed(self, parts: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(parts)
        each = functional.normalize(self.linear(hidden[-1]).relu(), dim=1)
        return functional.normalize(each.mean(0), dim=0)


@cache
def encoder() -> SpeakerEncoder:
    """The one encoder of this process, with its weights.

    Raises:
        StentorError: when the package that carries them is not installed.
    """
    made = SpeakerEncoder()
    made.load_pretrained()
    return made


def _file() -> Path:
    found = util.find_spec("resemblyzer")
    if found is None or found.origin is None:
        raise StentorError("speaker similarity needs the weights of package 'resemblyzer', which is not installed.",
                           suggestion=f"Install it: {INSTALL}")  # fmt: skip
    return Path(found.origin).parent / "pretrained.pt"


def _prepared(wave: Tensor) -> Tensor:
    """The waveform without long pauses, raised to -30 dB of full scale where it is quieter."""
    levels = frame_levels(wave, SAMPLE_RATE)
    if not len(levels) or float(levels.max()) <= -90.0:
        return wave[:0]
    loud = (levels >= levels.max() - _SILENT_DB).float()
    kept = functional.max_pool1d(loud[None, None], 2 * _PAUSE + 1, 1, _PAUSE)[0, 0].bool()
    heard = functional.pad(wave.float(), (0, -len(wave) % _HOP)).reshape(-1, _HOP)[kept].flatten()
    power = heard.square().mean().clamp(min=1e-12)
    return heard * max(1.0, float((10 ** (_LEVEL_DB / 10) / power).sqrt()))


def _parts(wave: Tensor) -> Tensor:
    """Mel spectrograms [P, 160, 40] of the stretches of a waveform [N]; none of silence."""
    if not len(wave):
        return torch.zeros(0, _PART, _BINS)
    frames = -(-(len(wave) + 1) // _HOP)
    starts = list(range(0, max(1, frames - _PART + _STEP + 1), _STEP))
    covered = (len(wave) - starts[-1] * _HOP) / (_PART * _HOP)
    starts = starts[:-1] if covered < _COVERED and len(starts) > 1 else starts
    mel = _mel(functional.pad(wave, (0, max(0, (starts[-1] + _PART) * _HOP - len(wave)))))
    return torch.stack([mel[start : start + _PART] for start in starts])


def _mel(wave: Tensor) -> Tensor:
    """Mel power spectrogram [T, 40] (not its logarithm), frames centred on multiples of the hop."""
    window = torch.hann_window(_FFT)
    spectrum = torch.stft(wave, _FFT, _HOP, _FFT, window, pad_mode="constant", return_complex=True)
    return (filters(wave.device, wave.dtype, _BINS, _FFT) @ spectrum.abs().square()).T
