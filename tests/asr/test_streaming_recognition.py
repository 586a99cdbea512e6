"""Streaming recognition: events do not depend on blocks, finals are offline transcripts, time never goes back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.errors import StentorError
from stentor.model.adapters import Stack
from stentor.model.causal_lm import CausalLM
from stentor.sequence.tokenizers import Characters
from stentor.testing.signals import SENTENCES, voiced
from stentor.vad.endpoint import EndpointSettings
from stentor.vad.energy import Energy
from stentor_asr.ctc import CTCTask
from stentor_asr.decoders.greedy import CTCGreedy
from stentor_asr.encoder import Conformer
from stentor_asr.speech_lm import SpeechLMTask
from stentor_asr.streaming.choice import listener as choose_listener
from stentor_asr.streaming.ctc import CTCListener
from stentor_asr.streaming.events import Event, Final, Partial
from stentor_asr.streaming.growing import FramesListener, WindowListener, agreement
from stentor_asr.streaming.listener import Listener
from stentor_asr.streaming.session import StreamingRecogniser
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request, Segment
from stentor_asr.transcribe.trained_run import TrainedRun

RATE = 16_000
SMALL = {"dim": 16, "layers": 1, "heads": 2, "kernel": 5, "chunk": 4, "left": 2, "subsampling": 8}
RULES = EndpointSettings(min_speech=0.06, min_silence=0.3, padding=0.1, longest=2.5, initial_silence=1.0)


def letters() -> Characters:
    text = Characters()
    text.train(SENTENCES)
    return text


def mixed_up(module: torch.nn.Linear) -> None:
    """Random weights so strong that the text changes with the sound."""
    with torch.no_grad():
        module.weight.copy_(4 * torch.randn_like(module.weight))
        module.bias.zero_()


@cache
def ctc_task() -> CTCTask:
    torch.manual_seed(0)
    task = CTCTask(Conformer(**SMALL), letters(), CTCGreedy())
    mixed_up(task.out)
    return task.eval()


@cache
def lm_task() -> SpeechLMTask:
    torch.manual_seed(0)
    encoder, text = Conformer(**SMALL), letters()
    backbone = CausalLM(text.size + 3, dim=16, layers=1, heads=2)
    with torch.no_grad():
        for value in backbone.parameters():
            value.mul_(3)
    return SpeechLMTask(encoder, Stack(16, 16, stride=2, hidden=16), backbone, text, tokens_per_second=3.0).eval()


class Loudness(Recogniser):
    """Says for every tenth of a second how loud it is: a word a piece, all anew with every window."""

    sample_rate, window_seconds = RATE, 5.0

    def recognise(self, windows, request=PLAIN):
        return [Heard(tuple(self._segments(window))) for window in windows]

    def _segments(self, window):
        words = [f"l{int(1000 * np.abs(part).mean())}" for part in np.split(window, range(1600, len(window), 1600))]
        if words:
            yield Segment(0.0, len(window) / RATE, " ".join(words))


class FrameReader:
    """A task that says a word for every other frame, of the frame alone."""

    sample_rate = RATE

    def __init__(self):
        self.encoder = ctc_task().encoder

    def parameters(self):
        return self.encoder.parameters()

    def predict(self, batch):
        if "audio" in batch:
            frames, _ = self.encoder(batch["audio"], batch["audio_lengths"])
        else:
            frames = batch["frames"]
        return [" ".join(f"w{int(frame.argmax())}" for frame in frames[0, ::2])]


def offline_reader(samples: np.ndarray) -> str:
    with torch.no_grad():
        return predicted(FrameReader(), samples)


def offline_ctc(samples: np.ndarray) -> str:
    return predicted(ctc_task(), samples)


def offline_lm(samples: np.ndarray) -> str:
    return predicted(lm_task(), samples)


def predicted(task, samples: np.ndarray) -> str:
    audio = torch.from_numpy(samples)[None]
    return task.predict({"audio": audio, "audio_lengths": torch.tensor([len(samples)])})[0].strip()


def offline_loudness(samples: np.ndarray) -> str:
    return Loudness().recognise([samples])[0].segments[0].text


CASES: dict[str, tuple[Callable[[], Listener], Callable[[np.ndarray], str]]] = {
    "ctc": (lambda: CTCListener(ctc_task(), 3.0), offline_ctc),
    "speech-lm": (lambda: FramesListener(lm_task(), 0.5, 3.0), offline_lm),
    "frames": (lambda: FramesListener(FrameReader(), 0.3, 3.0), offline_reader),
    "window": (lambda: WindowListener(Loudness(), 0.4), offline_loudness),
}


@cache
def recording() -> np.ndarray:
    """Silence, a word, a pause, a stretch that is too long, a long silence, a last word up to the end."""
    rng = np.random.default_rng(0)

    def quiet(seconds: float) -> np.ndarray:
        return rng.normal(0, 1e-4, round(seconds * RATE))

    def said(seconds: float, pitch: float) -> np.ndarray:
        return voiced(round(seconds * RATE), RATE, pitch).numpy()

    parts = (quiet(0.4), said(0.6, 110), quiet(0.5), said(3.7, 150), quiet(1.7), said(0.4707, 90))
    return np.concatenate(parts).astype(np.float32)


def events_of(listener: Listener, samples: np.ndarray, sizes: list[int]) -> list[Event]:
    recogniser = StreamingRecogniser(listener, Energy(), RULES)
    stream, events, at, turn = recogniser.start(), [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        events += recogniser.feed(stream, samples[at : at + size])
        at, turn = at + size, turn + 1
    return events + recogniser.flush(stream)


@cache
def whole(name: str) -> list[Event]:
    return events_of(CASES[name][0](), recording(), [len(recording())])


@pytest.mark.parametrize("name", CASES)
def test_finals_are_what_is_heard_offline(name: str) -> None:
    finals = [event for event in whole(name) if isinstance(event, Final)]
    assert [final.reason for final in finals] == ["pause", "length", "pause", "silence", "end"]
    for final in finals:
        piece = recording()[round(final.start * RATE) : round(final.end * RATE)]
        assert final.text == ("" if final.reason == "silence" else CASES[name][1](piece))
    assert sum(len(final.text) for final in finals) > 20
    assert finals[-1].end == len(recording()) / RATE


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(sizes=st.lists(st.integers(1, RATE), min_size=1, max_size=9).filter(lambda sizes: sum(sizes) > 100 * len(sizes)))
def test_events_do_not_depend_on_blocks(name: str, sizes: list[int]) -> None:
    assert events_of(CASES[name][0](), recording(), sizes) == whole(name)


def test_one_sample_at_a_time() -> None:
    samples = recording()[: round(1.3 * RATE)]
    listener = CASES["ctc"][0]()
    assert events_of(listener, samples, [1]) == events_of(listener, samples, [len(samples)])


@pytest.mark.parametrize("name", CASES)
def test_partials_grow_and_time_never_goes_back(name: str) -> None:
    told, end, start = "", 0.0, 0.0
    partials = [event for event in whole(name) if isinstance(event, Partial)]
    assert len(partials) >= 4 or name == "speech-lm"  # whose random words two hearings never agree on
    for event in whole(name):
        assert event.start >= start and event.end >= event.start
        if isinstance(event, Partial):
            assert event.text.startswith(told) and event.text != told and event.end >= end
            told, end = event.text, event.end
        else:
            told, end, start = "", 0.0, event.end


def test_partials_of_ctc_are_beginnings_of_the_final() -> None:
    told = ""
    for event in whole("ctc"):
        if isinstance(event, Final) and event.reason != "length":  # a cut one was heard further than it reaches
            assert event.text.startswith(told)
        told = event.text if isinstance(event, Partial) else ""


def test_streams_share_a_recogniser_and_do_not_disturb_one_another() -> None:
    recogniser = StreamingRecogniser(CASES["ctc"][0](), Energy(), RULES)
    samples = [recording(), recording()[6000:], recording()[::-1].copy()]
    alone = [events_of(recogniser.listener, one, [4000]) for one in samples]
    streams, events = [recogniser.start() for _ in samples], [[] for _ in samples]
    for at in range(0, len(recording()), 4000):
        for index, one in enumerate(samples):
            events[index] += recogniser.feed(streams[index], one[at : at + 4000])
    assert [one + recogniser.flush(stream) for one, stream in zip(events, streams, strict=True)] == alone


def test_little_is_held_of_silence() -> None:
    recogniser = StreamingRecogniser(CASES["ctc"][0](), Energy(), RULES)
    stream = recogniser.start()
    for _ in range(50):
        recogniser.feed(stream, np.zeros(RATE, np.float32))
        assert len(stream.held) < RATE
    assert stream.received == 50 * RATE and stream.hearing is None


def test_nothing_said_is_nothing_told() -> None:
    quiet = EndpointSettings(longest=2.5)
    recogniser = StreamingRecogniser(CASES["window"][0](), Energy(), quiet)
    stream = recogniser.start()
    assert recogniser.feed(stream, np.zeros(3 * RATE, np.float32)) == [] == recogniser.flush(stream)
    assert recogniser.flush(recogniser.start()) == []


@pytest.mark.parametrize(
    ("agreed", "before", "now", "expected"),
    [
        ("", "a b c", "a b d", "a b"),
        ("a b", "a b c d", "A, b. C d e", "a b C d"),
        ("a b", "a x", "a x y", "a b"),  # what was told is not taken back
        ("a b", "a b", "a b", "a b"),
        ("", "", "a b", ""),
    ],
)
def test_agreement(agreed: str, before: str, now: str, expected: str) -> None:
    assert agreement(agreed.split(), before.split(), now.split()) == expected.split()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(StentorError, match="does not stream"):
        CTCListener(CTCTask(Conformer(**{**SMALL, "chunk": 0}), letters(), CTCGreedy()))
    with pytest.raises(StentorError, match="does not stream"):
        FramesListener(CTCTask(Conformer(**{**SMALL, "chunk": 0}), letters(), CTCGreedy()))
    with pytest.raises(StentorError, match="at most 5 s"):
        StreamingRecogniser(WindowListener(Loudness()), Energy(), EndpointSettings(longest=9.0))
    with pytest.raises(StentorError, match="interval"):
        WindowListener(Loudness(), 0.0)


def test_words_of_a_final_have_times_in_the_stream() -> None:
    listener = CTCListener(ctc_task(), 3.0, Request(words=True))
    finals = [event for event in events_of(listener, recording(), [7000]) if isinstance(event, Final) and event.text]
    assert finals and finals[-1].start > 5
    for final in finals:
        times = [time for word in final.words for time in (word.start, word.end)]
        assert [word.text for word in final.words] == final.text.split() and times == sorted(times)
        assert final.start <= times[0] and times[-1] <= final.end + 1e-6


def test_the_cheapest_listener_is_chosen() -> None:
    run = TrainedRun(Path("nowhere"), device="cpu")
    for task, expected in ((ctc_task(), CTCListener), (lm_task(), FramesListener)):
        run._task, run.sample_rate = task, RATE
        assert type(choose_listener(run)) is expected
    run._task = CTCTask(Conformer(**{**SMALL, "chunk": 0}), letters(), CTCGreedy())
    assert type(choose_listener(run)) is WindowListener
    assert type(choose_listener(Loudness())) is WindowListener
    with pytest.raises(StentorError, match="hotwords"):
        choose_listener(Loudness(), Request(hotwords={"boat": 2.0}))
