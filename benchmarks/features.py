"""Log-mel features of 16 utterances of 15 s, ours and everybody's.

``log-mel`` is the conformer's (512-point transform, 80 bands), ``whisper`` is Whisper's (400-point, 30 s windows not
filled up). Every peer computes its own 80 mel bands every 10 ms of 25 ms windows; ``torchaudio`` is given the very
transform, window and frames of ``log-mel``, ``torchaudio-400`` its own default transform and no logarithm. Hours of
audio per second of processor time, one thread, contestants interleaved, medians; targets are ratios. One JSON line.
A peer that is not installed is left out: ``pip install torchaudio kaldi-native-fbank librosa``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from stentor_asr.features import LogMel
from stentor_asr.whisper.features import LogMel as WhisperLogMel

RATE, SECONDS, UTTERANCES, ROUNDS = 16000, 15, 16, 15
TARGETS = {
    "log-mel/torchaudio": 1.0,
    "log-mel/torchaudio-400": 1.0,
    "log-mel/lhotse": 1.5,
    "log-mel-batch/log-mel": 0.9,
    "log-mel-batch/torchaudio-batch": 2.5,
    "whisper/transformers": 1.0,
}
Contestant = Callable[[list[Tensor]], None]


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    waves = [torch.randn(RATE * SECONDS) * 0.1 for _ in range(UTTERANCES)]
    contestants = dict(found for part in (ours, from_torchaudio, from_transformers, others) for found in part())
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    with torch.inference_mode():
        for number in range(ROUNDS + 1):
            for name, work in contestants.items():
                began = time.process_time()
                work(waves)
                if number:  # the first round warms up
                    seconds[name].append(time.process_time() - began)
    hours = UTTERANCES * SECONDS / 3600
    speed = {name: hours / statistics.median(found) for name, found in seconds.items()}
    ratios = {pair: speed[pair.split("/")[0]] / speed[pair.split("/")[1]]
              for pair in TARGETS if pair.split("/")[1] in speed}  # fmt: skip
    result = {
        "benchmark": "features",
        "hours_per_second": {name: round(value, 3) for name, value in speed.items()},
        "ratios": {pair: round(value, 2) for pair, value in ratios.items()},
        "targets": TARGETS,
        "met": {pair: value >= TARGETS[pair] for pair, value in ratios.items()},
    }
    print(json.dumps(result))


def each(extract: Callable[[Tensor], object]) -> Contestant:
    return lambda waves: [extract(wave) for wave in waves].clear()


def ours() -> Iterator[tuple[str, Contestant]]:
    log_mel, whisper, length = LogMel(80), WhisperLogMel(80), torch.tensor([RATE * SECONDS])
    lengths = length.expand(UTTERANCES)
    yield "log-mel", each(lambda wave: log_mel(wave[None], length))
    yield "log-mel-batch", lambda waves: list(log_mel(torch.stack(waves), lengths)).clear()
    yield "whisper", each(lambda wave: whisper(wave[None], 100 * SECONDS))


def from_torchaudio() -> Iterator[tuple[str, Contestant]]:
    try:
        from torchaudio.transforms import MelSpectrogram
    except ImportError:
        return
    options = {"hop_length": 160, "n_mels": 80, "f_min": 20.0, "mel_scale": "htk"}

    def window(samples: int) -> Tensor:
        return torch.hann_window(samples, periodic=False)

    same = MelSpectrogram(RATE, 512, 400, center=False, window_fn=window, **options)
    own = MelSpectrogram(RATE, 400, **options)
    yield "torchaudio", each(lambda wave: same(wave).clamp_(min=1e-8).log_())
    yield "torchaudio-400", each(own)
    yield "torchaudio-batch", lambda waves: [same(torch.stack(waves)).clamp_(min=1e-8).log_()].clear()


def from_transformers() -> Iterator[tuple[str, Contestant]]:
    from transformers import WhisperFeatureExtractor

    # as long as the utterance, like ours: filled up to 30 s it would do twice the work
    extractor = WhisperFeatureExtractor(feature_size=80, chunk_length=SECONDS)
    yield "transformers", each(lambda wave: extractor(wave.numpy(), sampling_rate=RATE, return_tensors="pt"))


def others() -> Iterator[tuple[str, Contestant]]:
    from lhotse import Fbank, FbankConfig

    fbank = Fbank(FbankConfig(num_mel_bins=80))
    yield "lhotse", each(lambda wave: fbank.extract(wave, RATE))
    try:
        import kaldi_native_fbank

        yield "kaldi-native-fbank", each(lambda wave: _kaldi(kaldi_native_fbank, wave))
    except ImportError:
        pass
    try:
        import librosa

        options = {"sr": RATE, "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80}
        yield "librosa", each(lambda wave: librosa.feature.melspectrogram(y=wave.numpy(), **options))
    except ImportError:
        pass


def _kaldi(package: object, wave: Tensor) -> np.ndarray:
    options = package.FbankOptions()  # type: ignore[attr-defined]
    options.frame_opts.samp_freq, options.frame_opts.dither, options.mel_opts.num_bins = RATE, 0.0, 80
    online = package.OnlineFbank(options)  # type: ignore[attr-defined]
    online.accept_waveform(RATE, wave.numpy())
    online.input_finished()
    return np.stack([online.get_frame(index) for index in range(online.num_frames_ready)])


if __name__ == "__main__":
    main()
