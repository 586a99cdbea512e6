"""The contract of rewards for spoken responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from stentor.errors import StentorError
from stentor.testing.reward import RewardContract
from stentor.testing.signals import SENTENCES, voiced

_RATE = 16_000
_WAVES = tuple(voiced(int((1.0 + 0.25 * row) * _RATE), _RATE, 110.0 + 40 * row) for row in range(3))


class AudioRewardContract(RewardContract):
    """Checks for rewards whose responses carry audio; skipped where what they judge with is not installed."""

    prompts: ClassVar[Sequence[Mapping[str, Any]]] = tuple(
        {"reference": text, "style": {"rate": 0, "energy": 1, "pitch": -1}, "prompt": {"audio": wave}}
        for text, wave in zip(SENTENCES, _WAVES, strict=False)
    )
    responses: ClassVar[Sequence[Mapping[str, Any]]] = tuple(
        {"audio": wave, "sample_rate": _RATE} for wave in (*_WAVES[1:], _WAVES[0] * 0.5)
    )
    unusable: ClassVar[Mapping[str, Any]] = {"text": "turn left"}

    def build(self, **changes: Any) -> Any:
        built = super().build(**changes)
        try:
            built.load_pretrained()
        except StentorError as error:
            if "not installed" not in str(error):
                raise
            self.skip(str(error))
        return built

    def test_builds_from_defaults(self) -> None:
        """It builds with no configuration at all."""
        self.component_class()

    def test_other_unusable_responses(self) -> None:
        """Sound that is silent, empty, not finite or of another shape scores NaN."""
        reward, rows = self.build(), torch.zeros(2, _RATE)
        broken = [rows[0], rows[0][:0], torch.full((_RATE,), float("nan")), rows, [0.1] * _RATE]
        found = reward.score([self.prompts[0]] * len(broken), [{"audio": one} for one in broken]).total
        self.demand(bool(torch.isnan(found).all()), f"responses without sound score {found.tolist()}.")

    def test_sample_rate(self) -> None:
        """A response at another sample rate scores about what it scores at 16 kHz."""
        reward, rates = self.build(), (_RATE, 24_000)
        tones = [0.2 * torch.sin(2 * torch.pi * 220 * torch.arange(rate) / rate) for rate in rates]
        said = [{"audio": wave, "sample_rate": rate} for wave, rate in zip(tones, rates, strict=True)]
        first, second = reward.score([self.prompts[0]] * 2, said).total.tolist()
        self.demand(abs(first - second) < 0.05, f"a tone scores {first:g} at 16 kHz and {second:g} at 24 kHz.")
