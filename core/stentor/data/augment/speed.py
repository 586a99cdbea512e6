"""Speed perturbation."""

from __future__ import annotations

import numpy as np

from stentor.data.resample import resample


def change_speed(audio: np.ndarray, factor: float) -> np.ndarray:
    """Play `audio` (float32 [N]) `factor` times as fast, tempo and pitch together: float32 [ceil(N / factor)].

    Factors are kept to 1 %. Ko et al. 2015, "Audio augmentation for speech recognition" (Interspeech), with factors
    0.9, 1.0 and 1.1.
    """
    return resample(audio, round(100 * factor), 100)
