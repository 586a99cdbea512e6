"""How a recogniser is listened with: frame by frame where its encoder streams, else anew with every interval."""

from __future__ import annotations

from stentor_asr.ctc import CTCTask
from stentor_asr.streaming.ctc import CTCListener
from stentor_asr.streaming.growing import FramesListener, WindowListener
from stentor_asr.streaming.listener import Listener
from stentor_asr.transcribe.recogniser import PLAIN, Recogniser, Request
from stentor_asr.transcribe.trained_run import TrainedRun


def listener(recogniser: Recogniser, request: Request = PLAIN, interval: float = 1.0) -> Listener:
    """The cheapest listener for `recogniser`, its weights loaded.

    Args:
        recogniser: what transcribes.
        request: what is asked of final texts.
        interval: of audio between two partial texts (s), for one that cannot go frame by frame.

    Raises:
        StentorError: when the request asks what it cannot do.
    """
    recogniser.refuse(request)
    task = recogniser.task if isinstance(recogniser, TrainedRun) else None
    longest = recogniser.window_seconds
    if not getattr(getattr(task, "encoder", None), "streams", False):
        return WindowListener(recogniser, interval, request)
    if isinstance(task, CTCTask):
        return CTCListener(task, longest, request)
    return FramesListener(task, interval, longest, request)
