"""Voice activity by Silero's network, whose weights its package brings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.errors import StentorError
from stentor.extras import require
from stentor.interfaces.vad import VAD, Waves

_CONTEXT, _TRANSFORM, _HOP, _BINS, _WIDTH = 64, 256, 128, 129, 128
_STRIDES = (1, 2, 2, 1)


@dataclass
class _Memory:
    """The end of the last frame [B, 64] and the two states of the recurrence [1, B, 128] each."""

    context: Tensor
    hidden: Tensor
    cell: Tensor


class Silero(VAD):
    """Silero VAD at 16 kHz: magnitudes, four convolutions, a recurrence over the frames.

    The network is written out here and takes its weights from the package, so that a batch of recordings is judged in a
    few products, and the package's own code, which sets torch to one thread for all, is not imported.
    """

    sample_rate = 16_000
    frame_seconds = 0.032

    def __init__(self) -> None:
        self.network: nn.ModuleDict | None = None

    def load_pretrained(self) -> dict[str, str]:
        found = util.find_spec("silero_vad")
        if found is None or not found.submodule_search_locations:
            require("silero_vad", "silero")
            raise StentorError("'silero_vad' is not installed as a package.")
        path = Path(found.submodule_search_locations[0]) / "data" / "silero_vad.jit"
        self.network = _network(path)
        version = metadata.version("silero-vad")
        return {"source": f"package silero-vad {version}", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}

    def begin(self, batch: int) -> _Memory:
        state = torch.zeros(1, batch, _WIDTH)
        return _Memory(torch.zeros(batch, _CONTEXT), state, state)

    @torch.inference_mode()
    def judge(self, frames: Waves, inner: _Memory) -> tuple[Waves, _Memory]:
        if self.network is None:
            raise StentorError("the weights of vad 'silero' are not loaded; call load_pretrained first.", path="vad")
        waves = torch.from_numpy(np.ascontiguousarray(frames, np.float32))
        before = torch.cat([inner.context[:, None], waves[:, :-1, -_CONTEXT:]], dim=1)
        seen = functional.pad(torch.cat([before, waves], dim=2).flatten(0, 1), (0, _CONTEXT), "reflect")
        hidden = self._convolve(seen[:, None]).view(len(waves), -1, _WIDTH)
        hidden, (last, cell) = self.network["recurrence"](hidden, (inner.hidden, inner.cell))
        found = self.network["out"](hidden.relu().transpose(1, 2)).sigmoid()[:, 0]
        return found.numpy(), _Memory(waves[:, -1, -_CONTEXT:], last, cell)

    def _convolve(self, waves: Tensor) -> Tensor:
        assert self.network is not None
        parts = self.network["transform"](waves)
        hidden = torch.hypot(parts[:, :_BINS], parts[:, _BINS:])
        for index in range(1, len(_STRIDES) + 1):
            hidden = self.network[f"conv{index}"](hidden).relu()
        return hidden


def _network(path: Path) -> nn.ModuleDict:
    widths = (_BINS, 128, 64, 64, 128)
    network = nn.ModuleDict({"transform": nn.Conv1d(1, 2 * _BINS, _TRANSFORM, _HOP, bias=False)})
    for index, stride in enumerate(_STRIDES):
        network[f"conv{index + 1}"] = nn.Conv1d(widths[index], widths[index + 1], 3, stride, padding=1)
    network["recurrence"] = nn.LSTM(_WIDTH, _WIDTH, batch_first=True)
    network["out"] = nn.Conv1d(_WIDTH, 1, 1)
    # The package's safetensors hold an older network than its TorchScript file, which only serves as a container here.
    try:
        told = torch.jit.load(str(path), map_location="cpu").state_dict()  # type: ignore[no-untyped-call]
        network.load_state_dict({name: told[theirs] for name, theirs in _names().items()})
    except (OSError, RuntimeError, KeyError, ValueError) as cause:
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[-1].strip()
        raise StentorError(f"the weights of vad 'silero' do not fit: {reason}", path=str(path)) from cause
    return network.eval()


def _names() -> dict[str, str]:
    """Our names of the weights to the package's."""
    kinds = ("weight", "bias")
    names = {f"conv{index + 1}.{kind}": f"encoder.{index}.reparam_conv.{kind}" for index in range(4) for kind in kinds}
    names |= {
        f"recurrence.{kind}_{which}_l0": f"decoder.rnn.{kind}_{which}" for which in ("ih", "hh") for kind in kinds
    }
    names |= {f"out.{kind}": f"decoder.decoder.2.{kind}" for kind in kinds}
    return {
        ours: f"_model.{theirs}" for ours, theirs in {**names, "transform.weight": "stft.forward_basis_buffer"}.items()
    }
