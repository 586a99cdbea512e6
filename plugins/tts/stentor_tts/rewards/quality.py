"""Rewards for sounding natural, for sounding like somebody, for taking the right time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from stentor.errors import StentorError
from stentor_tts.measures import naturalness, speaker
from stentor_tts.measures.level import speech_seconds
from stentor_tts.measures.tempo import syllables
from stentor_tts.mel import SAMPLE_RATE
from stentor_tts.rewards.audio import AudioReward, Item, text_of, voice_of


class SpeakerSimilarityReward(AudioReward):
    """Cosine of the speaker embeddings (Resemblyzer's) of the response and of the prompt's example of a voice.

    Reads ``prompt`` of a prompt: ``{"audio": float tensor [N], "sample_rate": Hz}``, or the path of a recording. The
    part is the ``cosine``.
    """

    nature = "learned"
    names = ("cosine",)

    def load_pretrained(self) -> dict[str, str]:
        return speaker.encoder().load_pretrained()

    def rate(self, prompts: Sequence[Item], waves: Sequence[Tensor]) -> list[tuple[float, ...]]:
        voices = [voice_of(prompt) for prompt in prompts]
        embed = speaker.encoder().embed
        said, wanted = embed(waves), embed([waves[0][:0] if voice is None else voice for voice in voices])
        cosines = (said * wanted).sum(1).tolist()
        return [
            (math.nan, math.nan) if voice is None else (cosine, cosine)
            for voice, cosine in zip(voices, cosines, strict=True)
        ]


class DnsmosReward(AudioReward):
    """Overall DNSMOS P.835, from 0 (bad, MOS 1) to 1 (excellent, MOS 5).

    Reads nothing of a prompt. Parts are the scores from 1 to 5: ``signal``, ``background``, ``overall``.
    """

    nature = "learned"
    names = ("signal", "background", "overall")

    def load_pretrained(self) -> dict[str, str]:
        return naturalness.dnsmos().provenance()

    def rate(self, prompts: Sequence[Item], waves: Sequence[Tensor]) -> list[tuple[float, ...]]:
        told = [naturalness.dnsmos().rate(wave) for wave in waves]
        return [((one.overall - 1) / 4, one.signal, one.background, one.overall) for one in told]


class DurationReward(AudioReward):
    """1 where the response takes the time that it should, 0 from twice or half as long on, linear in the logarithm.

    The time is from the first to the last sound. Reads ``seconds`` of a prompt, or else tells the time by the syllables
    of its ``reference`` (or ``text``). The part is the ``ratio`` of the time taken to the time due.

    Args:
        syllables_per_second: of speech that nobody asked to hurry.
    """

    nature = "verifiable"
    names = ("ratio",)

    def __init__(self, *, syllables_per_second: float = 5.0) -> None:
        if syllables_per_second <= 0:
            raise StentorError("a rate of speech is more than 0 syllables a second.",
                               path="reward.syllables_per_second", value=syllables_per_second)  # fmt: skip
        self.rate_due = syllables_per_second

    def rate(self, prompts: Sequence[Item], waves: Sequence[Tensor]) -> list[tuple[float, ...]]:
        pairs = zip(waves, map(self._due, prompts), strict=True)
        return [_score(speech_seconds(wave, SAMPLE_RATE), due) for wave, due in pairs]

    def _due(self, prompt: Item) -> float:
        seconds, text = prompt.get("seconds"), text_of(prompt)
        if isinstance(seconds, int | float) and seconds > 0:
            return float(seconds)
        return syllables(text) / self.rate_due if text else 0.0


def _score(taken: float, due: float) -> tuple[float, float]:
    if not due:
        return math.nan, math.nan
    ratio = taken / due
    return (max(0.0, 1 - abs(math.log2(ratio))) if ratio else 0.0), ratio
