"""CTC beam search with a 3-gram: ours against pyctcdecode, and our flashlight decoder against flashlight-text alone.

29 symbols, 500 frames, beam 16, noisy posteriors of sentences that are known, one thread. The sentences are drawn from
a made-up language (a Markov chain over 2000 words); the 3-gram is estimated from 20 000 others of it. Every contestant
has the same model file, beam, weight of the model and floor, those of pyctcdecode's defaults where it has them;
contestants are interleaved in one process, and ratios are of medians of processor time. Ours is timed twice: a batch at
a time, and an utterance at a time. Needs ``pip install pyctcdecode kenlm flashlight-text``.

Targets, written before the first scored run: ours (batch) at least 2x pyctcdecode at a WER no higher than its own;
``ctc-flashlight`` at least 0.95x flashlight-text alone, the same words.

Run with ``python benchmarks/ctc_beam.py [--rounds N] [--utterances N]``.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import string
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stentor.evaluate.alignment import distance
from stentor.interfaces.decoder import SearchDecoder
from stentor.sequence.tokenizers import Characters
from stentor_asr.decoders.beam import CTCBeam
from stentor_asr.decoders.flashlight import CTCFlashlight
from stentor_asr.lm import arpa, kneser_ney

FRAMES, BEAM, FLOOR = 500, 16, -5.0
WEIGHT = 0.5  # of natural logarithms, as in pyctcdecode
BONUS, UNKNOWN = 1.5, -10.0
TARGETS = {"ctc-beam": 2.0, "ctc-flashlight": 0.95}
PEERS = {
    "ctc-beam": "pyctcdecode",
    "ctc-beam (one at a time)": "pyctcdecode",
    "ctc-flashlight": "flashlight-text",
}
Contestant = Callable[[], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of each contestant")
    parser.add_argument("--utterances", type=int, default=16)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    language = Language(seed=0)
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "3.arpa"
        arpa.write(model, kneser_ney.estimate([language.sentence(12) for _ in range(20_000)], 3))
        truth, log_probs = language.posteriors(arguments.utterances)
        contestants = _contestants(model, language, log_probs)
        seconds, texts = _race(contestants, arguments.rounds)
    wer = {name: _errors(truth, texts[name]) for name in contestants}
    for name, peer in PEERS.items():
        _report(name, peer, seconds, wer, texts)


class Language:
    """Words of 2 to 8 letters; after each, one of 20 is likely."""

    def __init__(self, seed: int, words: int = 2000) -> None:
        self.random = random.Random(seed)
        self.words = sorted({self._word() for _ in range(words)})
        self.after = {word: self.random.sample(self.words, 20) for word in self.words}
        self.text = Characters()
        self.text.train([" ".join(string.ascii_lowercase)])

    def _word(self) -> str:
        return "".join(self.random.choices(string.ascii_lowercase, k=self.random.randint(2, 8)))

    def sentence(self, length: int) -> list[str]:
        found = [self.random.choice(self.words)]
        while len(found) < length:
            likely = self.random.random() < 0.8
            found.append(self.random.choice(self.after[found[-1]] if likely else self.words))
        return found

    def posteriors(self, count: int) -> tuple[list[str], Tensor]:
        """Sentences that fill about 500 frames, and float32 [count, 500, 29]: blank, unknown, space and letters."""
        generator = torch.Generator().manual_seed(0)
        truth, logits = [], 1.6 * torch.randn(count, FRAMES, 29, generator=generator)
        for row in logits:
            said = self.sentence(18)
            path = [symbol for i in self.text.encode(" ".join(said)) for symbol in (i + 1, i + 1, 0, 0)][:FRAMES]
            while len(path) > FRAMES - 4:
                said, path = said[:-1], path[: 4 * len(" ".join(said[:-1]))]
            row[range(FRAMES), [*path, *[0] * (FRAMES - len(path))]] += 4.5
            truth.append(" ".join(said))
        return truth, logits.log_softmax(-1)


def _contestants(model: Path, language: Language, log_probs: Tensor) -> dict[str, Contestant]:
    ours = CTCBeam(beam=BEAM, floor=FLOOR, symbols=28, lm=str(model), weight=WEIGHT, bonus=BONUS,
                   unknown=UNKNOWN)  # fmt: skip
    shared: dict[str, Any] = {"beam": BEAM, "symbols": 29, "lm": str(model), "weight": WEIGHT, "bonus": BONUS}
    flashlight = CTCFlashlight(**shared)
    for decoder in (ours, flashlight):
        decoder.bind(language.text)
    rows = [log_probs[row : row + 1] for row in range(len(log_probs))]
    return {
        "pyctcdecode": _pyctcdecode(model, language, log_probs),
        "ctc-beam": lambda: _read(ours, language, log_probs),
        "ctc-beam (one at a time)": lambda: [text for row in rows for text in _read(ours, language, row)],
        "flashlight-text": _flashlight(flashlight, language, log_probs),
        "ctc-flashlight": lambda: _read(flashlight, language, log_probs),
    }


def _read(decoder: SearchDecoder, language: Language, log_probs: Tensor) -> list[str]:
    found = decoder.hypotheses(log_probs, torch.full((len(log_probs),), FRAMES))
    return [language.text.decode([i - 1 for i in row[0].ids]) for row in found]


def _pyctcdecode(model: Path, language: Language, log_probs: Tensor) -> Contestant:
    from pyctcdecode import build_ctcdecoder

    labels = ["", "'", *language.text.state()["characters"]]
    words = sorted(set(language.words))
    decoder = build_ctcdecoder(labels, str(model), words, alpha=WEIGHT, beta=BONUS, unk_score_offset=UNKNOWN)
    rows = [row.numpy() for row in log_probs]
    return lambda: [decoder.decode(row, beam_width=BEAM, token_min_logp=FLOOR) for row in rows]


def _flashlight(ours: CTCFlashlight, language: Language, log_probs: Tensor) -> Contestant:
    """The library's own decoder with the same options, lexicon and model, and nothing around it but the text."""
    decoder, names = ours._decoder(BEAM), language.text
    closed = [np.concatenate([row, np.full((1, 29), -1e4, np.float32)]) for row in log_probs.numpy()]
    for row in closed:
        row[-1, ours._space] = 0.0

    def text(result: Any) -> str:
        symbols = [a for a, b in zip(result.tokens[1:], result.tokens, strict=False) if a != b and a > 0]
        return names.decode([symbol - 1 for symbol in symbols])

    return lambda: [text(decoder.decode(row.ctypes.data, *row.shape)[0]).strip() for row in closed]


def _race(contestants: dict[str, Contestant], rounds: int) -> tuple[dict[str, float], dict[str, list[str]]]:
    texts = {name: contestant() for name, contestant in contestants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            start = time.process_time()
            contestant()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}, texts


def _errors(truth: list[str], texts: list[str]) -> float:
    wrong = sum(distance(due.split(), text.split()) for due, text in zip(truth, texts, strict=True))
    return wrong / sum(len(due.split()) for due in truth)


def _report(
    name: str, peer: str, seconds: dict[str, float], wer: dict[str, float], texts: dict[str, list[str]]
) -> None:
    count = len(texts[name])
    line = {
        "benchmark": f"ctc_beam/{name}",
        "peer": peer,
        "ratio": round(seconds[peer] / seconds[name], 3),
        "target": TARGETS.get(name),
        "wer_percent": round(100 * wer[name], 2),
        "peer_wer_percent": round(100 * wer[peer], 2),
        "utterances_per_second": round(count / seconds[name], 2),
        "peer_utterances_per_second": round(count / seconds[peer], 2),
        "same_texts": sum(a.split() == b.split() for a, b in zip(texts[name], texts[peer], strict=True)) / count,
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
