"""eSpeak NG, a formant synthesiser with many variants, through the library that `espeakng-loader` carries."""

from __future__ import annotations

import _ctypes
import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from stentor.errors import StentorError
from stentor.extras import require
from stentor.interfaces.voice import Voice

_NORMAL_RATE = 175  # words per minute
_SYNCHRONOUS, _UTF8, _DONT_EXIT = 2, 1, 0x8000
_RATE, _PITCH = 1, 3
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_LOCK = threading.Lock()


class Espeak(Voice):
    """Formant synthesis by eSpeak NG, several hundred times faster than real time on one core.

    Args:
        variant: language and variant, e.g. ``en-us``, ``en-us+f3``, ``en-us+klatt2``.
        pitch: 0 to 100.

    Raises:
        StentorError: on the first `speak`, when the variant is unknown or the library is missing.
    """

    sample_rate = 22050
    licence = "eSpeak NG: GPL-3.0-or-later"

    def __init__(self, *, variant: str = "en-us", pitch: int = 50) -> None:
        self.variant = variant
        self.pitch = pitch

    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        chunks: list[np.ndarray] = []

        def collect(samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int | None) -> int:
            if samples and count > 0:
                chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
            return 0

        callback, encoded = _CALLBACK(collect), text.encode()
        with _LOCK, _fresh_library() as library:
            library.espeak_SetSynthCallback(callback)
            self._configure(library, speed)
            library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded) + 1), 0, 1, 0, _UTF8, None, None)
            library.espeak_Synchronize()
        return np.concatenate(chunks).astype(np.float32) / 32768 if chunks else np.zeros(0, np.float32)

    def _configure(self, library: ctypes.CDLL, speed: float) -> None:
        if library.espeak_SetVoiceByName(self.variant.encode()) != 0:
            raise StentorError("eSpeak NG has no such voice; try 'en-us' or 'en-us+f3'.",
                               path="voice.variant", value=self.variant)  # fmt: skip
        library.espeak_SetParameter(_RATE, round(_NORMAL_RATE * speed), 0)
        library.espeak_SetParameter(_PITCH, self.pitch, 0)
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        ctypes.CDLL(None).srand(1)  # the breath of Klatt voices comes from the C library's generator


@contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    # The library keeps the phase of its oscillators from one utterance to the next, and ending and starting it again
    # does not reset them. Loading it anew does, in about 3 ms, and makes an utterance depend on nothing but its text.
    loader = require("espeakng_loader", "voices")
    library = ctypes.CDLL(loader.get_library_path())
    try:
        if library.espeak_Initialize(_SYNCHRONOUS, 0, loader.get_data_path().encode(), _DONT_EXIT) < 0:
            raise StentorError("eSpeak NG does not start: its data are damaged.",
                               path=loader.get_data_path(),
                               suggestion="Mend it with: pip install --force-reinstall espeakng-loader")  # fmt: skip
        yield library
        library.espeak_Terminate()
    finally:
        _ctypes.dlclose(library._handle)
