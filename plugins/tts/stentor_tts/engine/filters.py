"""Filters of the data engine: length, speech, what a recogniser hears, and any metric of audio."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any

import numpy as np

from stentor.config import NameOf
from stentor.errors import StentorError
from stentor.interfaces.metric import AudioMetric, Spoken
from stentor.plugins import registry
from stentor.vad.segments import SegmentSettings, segments
from stentor_tts.engine.interfaces import Filter, Verdict
from stentor_tts.judges.blocks import blocks, joined, shares

_SILENCE = 0.5  # s


class Duration(Filter):
    """Length that fits the text, in characters per second; letters and digits count.

    Args:
        slowest: fewest characters a second.
        fastest: most characters a second.
        allowance: taken off the length first (s): silence at the ends, and what a single word takes longer.
    """

    def __init__(self, *, slowest: float = 5.0, fastest: float = 35.0, allowance: float = 0.2) -> None:
        self.slowest, self.fastest, self.allowance = slowest, fastest, allowance

    def judge(self, takes: Sequence[Spoken]) -> list[Verdict]:
        return [self._verdict(sum(map(str.isalnum, take.text)), take.seconds) for take in takes]

    def _verdict(self, letters: int, seconds: float) -> Verdict:
        rate = letters / max(seconds - self.allowance, 0.01)
        measures = {"characters_per_second": round(rate, 2)}
        if self.slowest <= rate <= self.fastest:
            return Verdict("", measures)
        wrong = "long" if rate < self.slowest else "short"
        return Verdict(f"too {wrong} for its text: {rate:.1f} characters a second", measures)


class Speech(Filter):
    """Speech by a voice activity detector: enough of it, and no long pause inside.

    Args:
        vad: the detector, one of `stentor list vad`.
        share: least share of the take that is speech, 0 to 1.
        pause: longest pause between two stretches of speech (s).
    """

    def __init__(
        self, *, vad: Annotated[str, NameOf("vad")] = "energy", share: float = 0.4, pause: float = 1.0
    ) -> None:
        self.vad, self.share, self.pause = vad, share, pause

    @cached_property
    def _detector(self) -> Any:
        return registry().build("vad", self.vad)

    def load_pretrained(self) -> dict[str, str]:
        told: dict[str, str] = self._detector.load_pretrained()
        return told

    def judge(self, takes: Sequence[Spoken]) -> list[Verdict]:
        return [self._verdict(take) for take in takes]

    def _verdict(self, take: Spoken) -> Verdict:
        audio = take.output.read(self._detector.sample_rate)
        (chances,) = self._detector.probabilities(audio[None], np.array([len(audio)]))
        found = segments(chances, self._detector.frame_seconds, SegmentSettings(min_silence=0.2, padding=0.0))
        share = sum(end - start for start, end in found) / max(take.seconds, 0.01)
        longest = max((after[0] - before[1] for before, after in pairwise(found)), default=0.0)
        measures = {"speech_share": round(share, 3), "longest_pause": round(longest, 3)}
        if share < self.share:
            return Verdict(f"too little speech: {share:.0%} of it", measures)
        return Verdict(f"a long pause: {longest:.2f} s" if longest > self.pause else "", measures)


class Agreement(Filter):
    """What a recogniser hears agrees with the text.

    Takes of one voice are heard joined, with pauses between them, and what was heard is given back to the takes by the
    cheapest alignment: recognisers that were trained on long windows hear single short takes worse.

    Args:
        recogniser: one of `stentor list recogniser`; never the one that judges the model to be trained.
        metric: of texts, ``wer`` or ``cer``.
        normaliser: form in which texts are aligned.
        most: highest share of errors, 0 to 1.
        block: longest stretch of joined takes (s); 0 hears each alone.
    """

    def __init__(
        self,
        *,
        recogniser: Annotated[str, NameOf("recogniser")] = "whisper",
        metric: Annotated[str, NameOf("metric")] = "wer",
        normaliser: Annotated[str, NameOf("normaliser")] = "english",
        most: float = 0.2,
        block: float = 20.0,
    ) -> None:
        self.recogniser, self.metric, self.normaliser = recogniser, metric, normaliser
        self.most, self.block = most, block

    @cached_property
    def _parts(self) -> tuple[Any, Any, Any]:
        kinds = {"recogniser": self.recogniser, "metric": self.metric, "normaliser": self.normaliser}
        recogniser, metric, normaliser = (registry().build(kind, name) for kind, name in kinds.items())
        return recogniser, metric, normaliser

    def load_pretrained(self) -> dict[str, str]:
        told: dict[str, str] = self._parts[0].load_pretrained()
        return told

    def judge(self, takes: Sequence[Spoken]) -> list[Verdict]:
        groups = blocks([take.seconds for take in takes], [take.speaker for take in takes], self.block)
        heard = {index: text for group in groups for index, text in self._heard(takes, group)}
        return [self._verdict(take.text, heard[index]) for index, take in enumerate(takes)]

    def _heard(self, takes: Sequence[Spoken], group: Sequence[int]) -> list[tuple[int, str]]:
        """Index of every take of a block with what was heard of it."""
        recogniser, _, normaliser = self._parts
        wave = joined([takes[index].output.read(recogniser.sample_rate) for index in group], recogniser.sample_rate)
        wave = np.pad(wave, round(_SILENCE * recogniser.sample_rate))
        text = recogniser.predict({"audio": wave[None], "audio_lengths": [len(wave)]})[0]
        found = shares([normaliser(takes[index].text).split() for index in group], normaliser(text).split())
        return [(index, " ".join(share.heard)) for index, share in zip(group, found, strict=True)]

    def _verdict(self, text: str, heard: str) -> Verdict:
        ((errors, units),) = self._parts[1].counts([text], [heard])
        share = errors / max(units, 1)
        reason = f"heard otherwise: {self.metric} {share:.0%}, '{heard}'" if share > self.most else ""
        return Verdict(reason, {self.metric: round(share, 4)})


class MetricBound(Filter):
    """A metric of audio within bounds: DNSMOS, likeness of the speaker, whatever `stentor list metric` has.

    Without bounds it measures and keeps everything.

    Args:
        metric: one that measures audio.
        least: lowest value in the metric's unit; null: none.
        most: highest value in the metric's unit; null: none.
    """

    def __init__(
        self,
        *,
        metric: Annotated[str, NameOf("metric")] = "dnsmos",
        least: float | None = None,
        most: float | None = None,
    ) -> None:
        self.metric, self.least, self.most = metric, least, most

    @cached_property
    def _measure(self) -> AudioMetric:
        metric = registry().build("metric", self.metric)
        if not isinstance(metric, AudioMetric):
            raise StentorError("this metric scores texts, the filter needs one of audio.", path="filter.metric",
                               value=self.metric)  # fmt: skip
        return metric

    def load_pretrained(self) -> dict[str, str]:
        return self._measure.load_pretrained()

    def judge(self, takes: Sequence[Spoken]) -> list[Verdict]:
        with redirect_stderr(io.StringIO()):  # metrics show bars of their own
            found = self._measure.measure(takes)
        return [self._verdict(errors, units) for errors, units in found]

    def _verdict(self, errors: float, units: float) -> Verdict:
        if not units:
            return Verdict(f"{self.metric} cannot tell")
        value = errors / units * (100 if self._measure.unit == "%" else 1)
        return Verdict(self._fault(value), {self.metric: round(value, 4)})

    def _fault(self, value: float) -> str:
        if self.least is not None and value < self.least:
            return f"{self.metric} too low: {value:.2f}"
        return f"{self.metric} too high: {value:.2f}" if self.most is not None and value > self.most else ""
