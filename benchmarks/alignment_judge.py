"""A generative reward model: a judge that reads request, response and reference, and PPO by its verdicts.

    python benchmarks/alignment_judge.py [FOLDER]

After StepAudio 2.5 (arXiv 2605.23463). The judge is a small language model that has read pairs of responses of the SFT
policy, in both orders, and which of them has the manner that people like better (benchmarks/shared/people.yaml; what is
right a model of this size does not learn to judge in a minute). PPO has its verdict on a response and an SFT response
as the reward. Results are judged by three: the judge itself, people, and a classifier of bags of words that has learnt
from other pairs of other responses (those of the corpus) and has no part in the reward. Begins where it was cut off;
one JSON line for each figure. The speech is synthetic (corpus spoken-questions), the policy hears it through a frozen
Whisper, the judge reads what was asked; every seed begins with an SFT policy of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from shared import toys
from shared.toys import Said

from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.train.assembly import build
from stentor_align.rewards.judge import answer_of, verdict

CLAIM = "generative"
CAP = 10.0  # nats of a whole response
TARGETS = {"swapped": ("least", 0.90), "wins": ("least", 0.60), "cap": ("most", CAP), "classifier": ("above", 0.5)}
"""Written before the first scored run."""
NAMES = ("other", "unsure", "bare", "plain", "warm")
"""Of manners, by four times what people give for them."""
JUDGE = ("train.steps=220",)
TUNING = ("train.steps=25",)


def main() -> None:
    arguments = toys.parser(__doc__).parse_args()
    seeds: list[int] = arguments.seeds
    toys.ready()
    folder: Path = arguments.folder
    parents = [toys.sft(folder, seed) for seed in seeds]
    room = toys.Room(toys.QUESTIONS / "train.jsonl.gz", parents[0])
    for seed, parent in zip(toys.each(seeds), parents, strict=True):
        verdicts = examples(room.ask(parent, samples=5, seed=seed), folder / f"verdicts-{seed}.jsonl.gz")
        judge = toys.train(folder / f"judge-{seed}", "align/judge", f"data.train={verdicts}", f"seed={seed}", *JUDGE)
        data = [f"data.{name}={references(folder, parent, name, seed)}" for name in ("train", "valid")]
        rewarded = (f"task.run={parent}", f"task.reward.judge.run={judge}", f"seed={seed}", *data)
        toys.train(folder / f"judged-{seed}", "align/generative", *rewarded, *TUNING)
    if not arguments.train_only:
        report(folder, parents, seeds)


def question(asked: str, first: str, second: str) -> str:
    """What the judge is asked, as the recipe's template asks it; it reads no thoughts."""
    return f"asked {asked} first {answer_of(first)} second {answer_of(second)}"


def pairs_of(said: Sequence[Said]) -> list[tuple[Said, Said, float]]:
    """Every two responses to a prompt whose answers differ, and by how much people like the first one's manner more."""
    groups: dict[str, dict[str, tuple[Said, float]]] = {}
    for one, score in zip(said, manners(said), strict=True):
        groups.setdefault(one.id, {})[answer_of(one.text)] = (one, score)
    told = [pair for found in groups.values() for pair in combinations(found.values(), 2)]
    return [(one, other, first - second) for (one, first), (other, second) in told]


def manners(said: Sequence[Said]) -> list[float]:
    """What people think of responses, whether they are right or not."""
    return [score - 2 * right for score, right in zip(toys.scored(said), toys.part(said, "right"), strict=True)]


def examples(said: Sequence[Said], path: Path) -> Path:
    """Rows that teach a judge: every pair in both orders."""
    if path.exists():
        return path
    manner_of = {one.text: round(4 * value) for one, value in zip(said, manners(said), strict=True)}
    rows = []
    for number, (one, other, apart) in enumerate(pairs_of(said)):
        for turned, (first, second, gap) in enumerate(((one, other, apart), (other, one, -apart))):
            best = "tie" if abs(gap) < 1e-6 else "a" if gap > 0 else "b"
            text = f"first {NAMES[manner_of[first.text]]} second {NAMES[manner_of[second.text]]} verdict: {best}"
            asked = {"instruction": question(str(one.asked["spoken"]), first.text, second.text)}
            seconds = Utterance.reading_seconds(asked["instruction"], text)
            rows.append(Utterance(f"{number}-{turned}", "", seconds, 0, text=text, custom=asked))
    manifest.save(path, rows)
    return path


def references(folder: Path, parent: Path, name: str, seed: int) -> Path:
    """A manifest whose texts are responses of the SFT policy: y* of every prompt."""
    path = folder / f"references-{name}-{seed}.jsonl.gz"
    if not path.exists():
        room = toys.Room(toys.QUESTIONS / f"{name}.jsonl.gz", parent)
        texts = {one.id: one.text for one in room.ask(parent, samples=1, seed=100 + seed)}
        manifest.save(path, [replace(row, text=texts[row.id]) for row in room.rows.values()])
    return path


def report(folder: Path, parents: Sequence[Path], seeds: Sequence[int]) -> None:
    room = toys.Room(toys.QUESTIONS / "heldout.jsonl.gz", parents[0])
    before, again = ([room.ask(parent, samples=2, seed=seed) for parent in parents] for seed in (0, 9))
    judges = [build("judge", {"name": "policy", "run": str(folder / f"judge-{seed}"), "batch": 256}) for seed in seeds]
    flips, agrees = zip(*map(swapped, judges, before), strict=True)
    toys.tell(CLAIM, "verdicts that turn round with the pair", flips, TARGETS["swapped"])
    toys.tell(CLAIM, "the same, and as people say of the manner", agrees)
    tuned = [folder / f"judged-{seed}" for seed in seeds]
    said = [room.ask(run, samples=2) for run in tuned]
    classifier = BagOfWords(manifest.load(toys.QUESTIONS / "train.jsonl.gz"))
    for name, responses in (("sft", again), ("tuned", said)):
        goal = TARGETS if name == "tuned" else {}
        own = list(map(judged, judges, responses, before))
        toys.tell(CLAIM, f"win-rate of {name} over sft, by the judge itself", own, goal.get("wins"))
        toys.tell(CLAIM, f"win-rate of {name} over sft, by people", list(map(toys.wins, responses, before)))
        other = [toys.wins(one, two, classifier) for one, two in zip(responses, before, strict=True)]
        toys.tell(CLAIM, f"win-rate of {name} over sft, by the classifier", other, goal.get("classifier"))
    ranked = [classifier.agreement(one) for one in before]
    toys.tell(CLAIM, "pairs whose manners the classifier ranks as people do", ranked)
    apart = list(map(room.divergence, tuned, parents))
    toys.tell_numbers(CLAIM, "divergence from sft (nats)", apart, TARGETS["cap"])
    toys.guards(CLAIM, "tuned", tuned)


def verdicts(judge: Any, pairs: Sequence[tuple[Said, Said]]) -> list[tuple[float, float]]:
    """What a judge says of pairs, and of the same turned round: 1 for the one that stands first, -1, or 0."""
    asked = [(str(one.asked["spoken"]), one.text, other.text) for one, other in pairs]
    questions = [text for q, a, b in asked for text in (question(q, a, b), question(q, b, a))]
    found = [verdict(answer) for answer in judge.ask(questions)]
    return list(zip(found[::2], found[1::2], strict=True))


def swapped(judge: Any, said: Sequence[Said]) -> tuple[dict[str, float], dict[str, float]]:
    """By prompt, how often the verdict on an unseen pair of manners turns round with it, and is people's then."""
    pairs = [(one, other, apart) for one, other, apart in pairs_of(said) if abs(apart) > 1e-6]
    found = verdicts(judge, [(one, other) for one, other, _ in pairs])
    turned = [float(first == -second and first != 0) for first, second in found]
    right = [
        good * float(first * apart > 0) for good, (first, _), (*_, apart) in zip(turned, found, pairs, strict=True)
    ]
    return tuple(toys.by_prompt([one for one, *_ in pairs], values) for values in (turned, right))  # type: ignore[return-value]


def judged(judge: Any, first: Sequence[Said], second: Sequence[Said]) -> dict[str, float]:
    """By prompt, the win-rate of `first` over `second` by a judge that is asked in both orders; a tie is half."""
    pairs = [(one, other) for one in first for other in second if one.id == other.id]
    found = [(a - b) / 2 for a, b in verdicts(judge, pairs)]
    kept = [(one, (value + 1) / 2) for (one, _), value in zip(pairs, found, strict=True) if not math.isnan(value)]
    return toys.by_prompt([one for one, _ in kept], [value for _, value in kept])


class BagOfWords:
    """A linear Bradley-Terry classifier of which words a response has; knows no prompt, and no policy's responses.

    Args:
        rows: with annotated pairs, of the corpus.
    """

    def __init__(self, rows: Sequence[Utterance]) -> None:
        texts = [(row.custom["chosen"]["text"], row.custom["rejected"]["text"]) for row in rows if row.custom["clear"]]
        self.words = sorted({word for pair in texts for text in pair for word in text.split()})
        apart = self.bag([one for one, _ in texts]) - self.bag([other for _, other in texts])
        self.weights = torch.zeros(len(self.words), requires_grad=True)
        optimiser = torch.optim.LBFGS([self.weights], max_iter=100)

        def loss() -> torch.Tensor:
            optimiser.zero_grad()
            value = -torch.nn.functional.logsigmoid(apart @ self.weights).mean() + 1e-3 * self.weights.square().sum()
            value.backward()
            return value

        optimiser.step(loss)  # type: ignore[no-untyped-call]

    def bag(self, texts: Sequence[str]) -> torch.Tensor:
        """float [B, words]: 1 for words of the answer."""
        said = [set(answer_of(text).split()) for text in texts]
        return torch.tensor([[float(word in one) for word in self.words] for one in said])

    def score(self, prompts: Any, responses: Sequence[Any]) -> Any:
        """As a reward's."""
        from stentor.interfaces.reward import Scores

        return Scores((self.bag([one["text"] for one in responses]) @ self.weights).detach(), {})

    def agreement(self, said: Sequence[Said]) -> dict[str, float]:
        """By prompt, how often it ranks two responses' manners as people do."""
        pairs = [(one, other, apart) for one, other, apart in pairs_of(said) if abs(apart) > 1e-6]
        scores = [self.score(None, [{"text": one.text} for one, *_ in pairs]).total.tolist(),
                  self.score(None, [{"text": other.text} for _, other, _ in pairs]).total.tolist()]  # fmt: skip
        better = [b if apart > 0 else w for b, w, (*_, apart) in zip(*scores, pairs, strict=True)]
        worse = [w if apart > 0 else b for b, w, (*_, apart) in zip(*scores, pairs, strict=True)]
        return toys.by_prompt([one for one, *_ in pairs], toys.pair_accuracy(better, worse))


if __name__ == "__main__":
    main()
