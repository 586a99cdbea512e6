"""DNSMOS: how listeners would rate speech, by a network whose weights the package speechmos brings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stentor.errors import StentorError
from stentor.extras import require
from stentor_tts.judges.marks import mark
from stentor_tts.mel import SAMPLE_RATE

_WINDOW, _HOP = int(9.01 * SAMPLE_RATE), SAMPLE_RATE
_CURVES = np.array([[-0.08397278, 1.22083953, 0.0052439], [-0.13166888, 1.60915514, -0.39604546],
                    [-0.06766283, 1.11546468, 0.04602535]])  # fmt: skip
_MOST = 4096
_INSTALL = "pip install 'stentor-tts[judges]'"


@dataclass(frozen=True)
class Opinion:
    """Mean opinion scores from 1 to 5: of the speech signal, of the background, overall."""

    signal: float
    background: float
    overall: float


class Dnsmos:
    """DNSMOS P.835 (Reddy, Gopal and Cutler 2022, arXiv:2110.01763), on windows of 9.01 s a second apart.

    Shorter speech is repeated until it fills one window. (The authors repeat it further and average over windows of the
    same speech, which takes seven times as long and differs by about 0.03.)
    """

    def __init__(self) -> None:
        self.path = _file()
        options = (runtime := require("onnxruntime", "judges", distribution="stentor-tts")).SessionOptions()
        import torch

        self._known: dict[str, Opinion] = {}
        options.intra_op_num_threads = torch.get_num_threads()
        self._session: Any = runtime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])

    def provenance(self) -> dict[str, str]:
        """Source and content hash of the weights."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return {"source": f"package speechmos {metadata.version('speechmos')}", "sha256": digest}

    def rate(self, wave: Tensor) -> Opinion:
        """The scores of a waveform float [N] at 16 kHz, N > 0: means over its windows. It is slow, and remembers."""
        samples = np.clip(wave.detach().cpu().numpy().astype(np.float32), -1, 1)
        name = mark(samples)
        if name not in self._known:
            self._known = dict(list(self._known.items())[-_MOST:]) | {name: self._rate(samples)}
        return self._known[name]

    def _rate(self, samples: NDArray[np.float32]) -> Opinion:
        samples = np.resize(samples, max(len(samples), _WINDOW))
        starts = range(0, max(1, (len(samples) - _WINDOW) // _HOP + 1) * _HOP, _HOP)
        raw = [self._session.run(None, {"input_1": samples[None, at : at + _WINDOW]})[0][0] for at in starts]
        powers = np.stack([np.square(raw), np.asarray(raw), np.ones_like(raw)], axis=-1)
        signal, background, overall = (powers * _CURVES).sum(-1).mean(0).tolist()
        return Opinion(signal, background, overall)


@cache
def dnsmos() -> Dnsmos:
    """The one network of this process.

    Raises:
        StentorError: when the package that carries it, or ONNX Runtime, is not installed.
    """
    return Dnsmos()


def _file() -> Path:
    found = util.find_spec("speechmos")
    if found is None or found.origin is None:
        raise StentorError("DNSMOS needs the weights of package 'speechmos', which is not installed.",
                           suggestion=f"Install it: {_INSTALL}")  # fmt: skip
    return Path(found.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
