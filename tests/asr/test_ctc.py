"""Task ctc: its contract, its loss against a count of all paths, its search, its times, and that it learns."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.sequence.tokenizers import Characters
from stentor.testing.decoder import DecoderContract
from stentor.testing.task import TaskContract
from stentor_asr.ctc import CTCTask, needed
from stentor_asr.decoders.greedy import CTCGreedy
from stentor_asr.encoder import Conformer


class TestCTCGreedy(DecoderContract):
    name = "ctc-greedy"


class TestCTCTask(TaskContract):
    name = "ctc"
    texts = ("ab cd", "dad", "bad cab ad")
    sections = {
        "encoder": {"name": "conformer", "dim": 32, "layers": 1, "heads": 2, "dropout": 0.0},
        "text": {"name": "characters"},
        "decoder": {"name": "ctc-greedy"},
    }


class Given(Encoder):
    """Gives frames that the test chose: audio [B, T * D] seen as [B, T, D]."""

    dim, frame_rate, sample_rate = 4, 50.0, 200

    @classmethod
    def spec(cls, **_: object) -> EncoderSpec:
        return EncoderSpec(4, 50.0, 200)

    def frames(self, samples: int) -> int:
        return samples // 4

    def forward(self, audio: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return audio.unflatten(1, (-1, 4)), lengths // 4


def task() -> CTCTask:
    """Characters a and b over an encoder of width 4; the linear layer passes frames through as logits."""
    text = Characters()
    text.train(["ab"])
    built = CTCTask(Given(), text, CTCGreedy()).eval()
    with torch.no_grad():
        built.out.weight.copy_(torch.eye(4))
        built.out.bias.zero_()
    return built


def batch(logits: list[torch.Tensor], texts: list[str]) -> dict[str, object]:
    lengths = torch.tensor([row.numel() for row in logits])
    audio = torch.nn.utils.rnn.pad_sequence([row.flatten() for row in logits], batch_first=True)
    return {"audio": audio, "audio_lengths": lengths, "texts": texts}


@pytest.mark.parametrize("text", ["a", "ab", "aa", "aba"])
def test_loss_is_minus_log_of_the_sum_over_all_paths(text: str) -> None:
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(len(text)))
    probabilities = logits.softmax(-1)
    due = [2 if letter == "a" else 3 for letter in text]
    total = 0.0
    for path in itertools.product(range(4), repeat=5):
        said = [symbol for symbol, _ in itertools.groupby(path) if symbol]
        if said == due:
            total += math.prod(probabilities[step, symbol].item() for step, symbol in enumerate(path))
    loss = task().training_loss(batch([logits], [text]))
    assert loss.units == len(text) and loss.value.item() * len(text) == pytest.approx(-math.log(total), rel=1e-4)


def test_an_utterance_too_short_for_its_text_costs_nothing_and_is_counted() -> None:
    fits, not_ = torch.randn(5, 4), torch.randn(2, 4)
    loss = task().training_loss(batch([fits, not_], ["ab", "abab"]))
    alone = task().training_loss(batch([fits], ["ab"]))
    assert loss.parts["unfit"] == 1 and alone.parts["unfit"] == 0
    assert loss.value.item() * 6 == pytest.approx(alone.value.item() * 2, rel=1e-5)
    assert [needed(row) for row in ([], [1], [1, 1], [1, 2, 2, 2])] == [0, 1, 3, 6]


def test_output_and_times_follow_the_posteriors() -> None:
    built = task()
    rows = torch.full((6, 4), -5.0)
    for step, symbol in enumerate([0, 2, 2, 0, 3, 0]):
        rows[step, symbol] = 5.0
    given = batch([rows, rows[:3]], ["ab", "a"])
    assert built.predict(given) == ["ab", "a"]
    assert built.align(given, ["ab", "a"])[0] == [("a", 0.02, 0.06), ("b", 0.08, 0.1)]


def test_an_encoder_with_too_few_frames_is_found_without_building_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = {"encoder": {"name": "conformer"}, "text": {"name": "bpe"}, "decoder": {"name": "ctc-greedy"}}
    assert CTCTask.check(sections) == []
    monkeypatch.setattr(Conformer, "spec", classmethod(lambda cls, **_: EncoderSpec(8, 2.0, 16000)))
    (problem,) = CTCTask.check(sections)
    assert problem.path == "encoder" and "too few for CTC" in problem.message


def test_it_learns_a_handful_of_utterances_by_heart() -> None:
    torch.manual_seed(0)
    words = ["ab", "ba", "aab", "b"]
    tones = {"a": 400.0, "b": 1500.0}
    waves = [torch.cat([torch.sin(tones[c] * 6.283 * torch.arange(1600) / 16000) for c in word]) for word in words]
    waves = [torch.cat([wave, 0.01 * torch.randn(1600)]) for wave in waves]
    sections = TestCTCTask.sections
    built = CTCTask.assemble(
        {**sections, "encoder": {**sections["encoder"], "time_masks": 0, "frequency_masks": 0}}, texts=words
    )
    given = {
        "audio": torch.nn.utils.rnn.pad_sequence(waves, batch_first=True),
        "audio_lengths": torch.tensor([len(wave) for wave in waves]),
        "texts": words,
    }
    optimiser = torch.optim.AdamW(built.parameters(), lr=5e-3)
    for _ in range(80):
        optimiser.zero_grad()
        built.training_loss(given).value.backward()
        optimiser.step()
    assert built.eval().predict(given) == words
