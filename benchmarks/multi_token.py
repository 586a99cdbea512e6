"""Multi-token decoding: our engine with each drafter against our greedy decoding, and against transformers.

Two models, batch 1, fp32, one thread, contestants interleaved in one process, medians of processor time:

``text``: a Llama of 17 M parameters (8 layers of 384, 8192 ids), trained here for a minute on a language of phrases in
random order, with five branches (which draft at most 1024 of the ids that training saw), a draft model and n-grams;
prompts are ids. The peer is transformers with the same weights: greedy ``generate()``, prompt look-up, and assisted
generation with the same draft model.

``speech``: a run of ``asr/mtp-branches`` or ``asr/mtp-joint``, given with ``--run``, on utterances of ``--sets``, the
encoder left out. Transcripts are short there, so that reading the prompt weighs more. ``--lossless`` compares tokens
over all of them: as trained, with fewer branches, with random ones, one by one and in ragged batches.

The ideal that a speed-up is compared with is tokens per pass / (C(k + 1) / C(1) + cost of drafting / C(1)), with C(n) a
cached pass over n positions; all are measured. One JSON line per figure; targets are in `TARGETS`.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from stentor.decode.drafters.branches import Branches
from stentor.decode.drafters.draft_model import DraftModel
from stentor.decode.drafters.ngrams import NGrams
from stentor.decode.engine import generate
from stentor.decode.settings import GenerationSettings
from stentor.decode.statistics import DecodingStatistics
from stentor.interfaces.drafter import Drafter
from stentor.model.causal_lm import CausalLM
from stentor.sequence import spans
from stentor.sequence.packing import Packed, pack

TARGETS = {  # what must be reached; "forwards" is an upper bound
    "forwards_per_token": 0.5,
    "speed_up": 1.5,
    "share_of_ideal": 0.85,
    "against_generate": 2.0,
    "against_assisted": 1.5,
}
SIZE, PROMPT, TOKENS, LENGTH, VOCABULARY = 8192, 100, 64, 5, 1024
SETS = ["corpora/commands/heldout-sentences.jsonl.gz", "corpora/commands/heldout-voice.jsonl.gz"]
DRAFT = {"name": "causal-lm", "dim": 96, "layers": 1, "heads": 2, "ffn_dim": 256}
_CACHED = {"use_cache": True}
Texts = list[list[int]]


@dataclass(frozen=True)
class Case:
    """What is decoded, by what."""

    backbone: CausalLM
    drafter: Drafter
    prompts: Sequence[Tensor]
    settings: GenerationSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="timed runs of each contestant")
    parser.add_argument("--run", type=Path, help="folder of a run with a drafter")
    parser.add_argument("--sets", nargs="+", default=SETS, help="manifests for --run")
    parser.add_argument("--utterances", type=int, default=40, help="how many of the first set's are timed")
    parser.add_argument("--skip-text", action="store_true", help="only the run")
    parser.add_argument("--lossless", action="store_true", help="only compare tokens, over all utterances of the sets")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not (arguments.skip_text or arguments.lossless):
        _text(arguments.rounds)
    if arguments.run and arguments.lossless:
        _lossless(arguments.run, Heard(arguments.run, arguments.sets))
    elif arguments.run:
        _speech(arguments.run, Heard(arguments.run, arguments.sets[:1], arguments.utterances), arguments.rounds)


def _text(rounds: int) -> None:
    torch.manual_seed(0)
    backbone = CausalLM(SIZE, dim=384, layers=8, heads=6, ffn_dim=1024)
    drafters: dict[str, Drafter] = {
        "branches": Branches(backbone, depth=LENGTH, vocabulary=VOCABULARY),
        "model": DraftModel(backbone, model=DRAFT, length=LENGTH),
        "ngram": NGrams(backbone, length=LENGTH),
    }
    language = Language(seed=0)
    _train(backbone, drafters, language, steps=90)
    prompts = [language.text(PROMPT, seed=1000 + row) for row in range(4)]
    settings = GenerationSettings(max_new_tokens=TOKENS)
    peer = _peer(backbone)
    greedy = _ours(backbone, prompts, settings, None)
    plain = _theirs(peer, prompts)
    assisted = {
        "model": _theirs(peer, prompts, assistant_model=_assistant(drafters["model"], backbone)),
        "ngram": _theirs(peer, prompts, prompt_lookup_num_tokens=LENGTH),
    }
    for name, drafter in drafters.items():
        contestants = {"greedy": greedy, "drafted": _ours(backbone, prompts, settings, drafter), "generate": plain}
        if name in assisted:
            contestants["assisted"] = assisted[name]
        _report(f"text/{name}", Case(backbone, drafter, prompts, settings), _timed(contestants, rounds))


class Language:
    """Phrases of fixed words in random order: inside a phrase the next word is certain, between phrases it is not."""

    def __init__(self, seed: int, phrases: int = 40) -> None:
        generator = torch.Generator().manual_seed(seed)
        lengths = torch.randint(6, 14, (phrases,), generator=generator).tolist()
        words = (torch.randperm(SIZE - 1, generator=generator) + 1).tolist()
        self.phrases = [[words.pop() for _ in range(length)] for length in lengths]

    def text(self, length: int, seed: int) -> Tensor:
        """int64 [length]."""
        generator, words = torch.Generator().manual_seed(seed), list[int]()
        while len(words) < length:
            words += self.phrases[int(torch.randint(len(self.phrases), (1,), generator=generator))]
        return torch.tensor(words[:length])

    def batch(self, seed: int, rows: int = 4, length: int = 64) -> Packed:
        texts = [self.text(length, seed * rows + row) for row in range(rows)]
        return pack([[spans.text(text[:1], weight=0), spans.text(text[1:])] for text in texts])


def _train(backbone: CausalLM, drafters: dict[str, Drafter], language: Language, steps: int) -> None:
    parameters = [*backbone.parameters(), *(value for one in drafters.values() for value in one.parameters())]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.2)
    for step in range(steps):
        packed = language.batch(step)
        inputs = backbone.embed(packed.ids)
        hidden = backbone(inputs[None], packed=packed.lengths)[0]
        places = packed.targets >= 0
        loss = functional.cross_entropy(backbone.project(hidden[places]), packed.targets[places])
        for drafter in drafters.values():
            found = drafter.training_loss(packed, inputs, hidden)
            loss = loss if found is None else loss + found.value
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        schedule.step()
    backbone.eval()
    for drafter in drafters.values():
        drafter.eval()


def _peer(backbone: CausalLM) -> Any:
    from transformers import AutoModelForCausalLM

    configuration = copy.deepcopy(backbone.decoder.config)
    peer = AutoModelForCausalLM.from_config(configuration, attn_implementation="sdpa").eval()  # type: ignore[no-untyped-call]
    peer.model.load_state_dict(backbone.decoder.state_dict())
    peer.tie_weights()
    return peer


def _assistant(drafter: Any, backbone: CausalLM) -> Any:
    """The draft model for transformers; it drafts as many tokens as ours."""
    assistant = _peer(drafter.model)
    settings = assistant.generation_config
    settings.num_assistant_tokens, settings.num_assistant_tokens_schedule = LENGTH, "constant"
    settings.assistant_confidence_threshold = 0.0
    return assistant


def _ours(
    backbone: CausalLM, prompts: Sequence[Tensor], settings: GenerationSettings, drafter: Drafter | None
) -> Callable[[], Texts]:
    return lambda: [generate(backbone, [prompt], settings, drafter=drafter).tokens[0] for prompt in prompts]


def _theirs(peer: Any, prompts: Sequence[Tensor], **draft: Any) -> Callable[[], Texts]:
    options = {
        "max_new_tokens": TOKENS,
        "do_sample": False,
        "eos_token_id": None,
        "pad_token_id": 0,
        **_CACHED,
        **draft,
    }

    def run() -> Texts:
        rows = [peer.generate(ids[None], attention_mask=torch.ones_like(ids[None]), **options) for ids in prompts]
        return [row[0, PROMPT:].tolist() for row in rows]

    return run


def _timed(contestants: dict[str, Callable[[], Texts]], rounds: int) -> dict[str, Any]:
    """Median processor seconds of each, and whether all gave the same tokens."""
    texts = {name: contestant() for name, contestant in contestants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            start = time.process_time()
            contestant()
            seconds[name].append(time.process_time() - start)
    same = all(text == texts["greedy"] for text in texts.values())
    return {"same": same, **{name: statistics.median(found) for name, found in seconds.items()}}


@torch.inference_mode()
def _report(name: str, case: Case, seconds: dict[str, Any]) -> None:
    told = DecodingStatistics()
    for prompt in case.prompts:
        told.add(generate(case.backbone, [prompt], case.settings, drafter=case.drafter).statistics)
    found = told.to_json()
    ideal, costs = _ideal(case, found["all_rounds"]["mean_accepted_length"])
    speed_up = seconds["greedy"] / seconds["drafted"]
    figures = {
        "forwards_per_token": found["forwards_per_token"],
        "speed_up": speed_up,
        "share_of_ideal": speed_up / ideal,
        "against_generate": seconds["generate"] / seconds["drafted"],
    }
    if "assisted" in seconds:
        figures["against_assisted"] = seconds["assisted"] / seconds["drafted"]
    for figure, value in figures.items():
        fine = value <= TARGETS[figure] if figure == "forwards_per_token" else value >= TARGETS[figure]
        line = {"benchmark": f"multi_token/{name}/{figure}", "value": round(value, 3), "target": TARGETS[figure],
                "met": fine, "token_identical": seconds["same"]}  # fmt: skip
        if figure == "share_of_ideal":
            line |= {"ideal": round(ideal, 3), **costs}
        if figure == "speed_up":
            line |= {"milliseconds": {key: round(1e3 * value, 1) for key, value in seconds.items() if key != "same"}}
        if figure == "forwards_per_token":
            line |= {key: found["all_rounds"][key] for key in ("rates", "mean_accepted_length", "decay")}
        print(json.dumps(line), flush=True)


def _ideal(case: Case, length: float) -> tuple[float, dict[str, float]]:
    """The speed-up that the measured costs allow at `length` tokens per pass, and these costs (milliseconds)."""
    held = len(case.prompts[0]) + 8
    one, several = (_pass_cost(case.backbone, held, width) for width in (1, 1 + case.drafter.length))
    draft = _draft_cost(case)
    costs = {"pass_ms": one, "verify_ms": several, "draft_ms": draft}
    return length / ((several + draft) / one), {key: round(1e3 * value, 3) for key, value in costs.items()}


def _pass_cost(backbone: CausalLM, held: int, width: int, turns: int = 30) -> float:
    """Median processor seconds of a cached pass over `width` positions, logits and choice included."""
    cache, keep = backbone.new_cache(1, held + width), torch.tensor([held])
    backbone(torch.randn(1, held, backbone.dim), cache=cache)
    inputs, seconds = torch.randn(1, width, backbone.dim), []
    for _ in range(turns):
        start = time.process_time()
        backbone.project(backbone(inputs, cache=cache)).argmax(-1).tolist()
        seconds.append(time.process_time() - start)
        cache.truncate(keep)
    return statistics.median(seconds)


def _draft_cost(case: Case) -> float:
    """Mean processor seconds that a draft takes, the first of each text left out: it reads the prompt."""
    spent: list[list[float]] = []
    start = case.drafter.start

    def watched(prefilled: Any) -> Any:
        draft = start(prefilled)
        propose, times = draft.propose, list[float]()
        spent.append(times)

        def timed(most: int) -> Tensor:
            began = time.process_time()
            proposed: Tensor = propose(most)
            times.append(time.process_time() - began)
            return proposed

        draft.propose = timed  # type: ignore[method-assign]
        return draft

    case.drafter.start = watched  # type: ignore[method-assign]
    try:
        for prompt in [prompt for prompt in case.prompts for _ in range(2)]:
            generate(case.backbone, [prompt], case.settings, drafter=case.drafter)
    finally:
        del case.drafter.start
    later = [seconds for times in spent for seconds in times[1:]]
    return statistics.fmean(later or [times[0] for times in spent])


class Heard:
    """A run and the prompts that its task makes of utterances."""

    def __init__(self, folder: Path, paths: Sequence[str], count: int | None = None) -> None:
        from stentor.data import manifest
        from stentor.evaluate.decoding import batch_of, read
        from stentor.train.run import load

        self.task = cast(Any, load(folder)[1])
        self.drafter: Any = self.task.drafter
        self.backbone: Any = self.task.model.backbone
        self.prompts, self.lengths = list[Tensor](), list[Tensor]()
        with torch.inference_mode():
            for utterance in [one for path in paths for one in manifest.load(path)][:count]:
                wave = read(utterance, self.task.sample_rate)
                heard, length = self.task.hear(batch_of([utterance], [wave], torch.device("cpu")))
                self.prompts.append(self.task.prompts(heard, length)[0])
                self.lengths.append(length)

    def decode(self, drafter: Drafter | None, batch: int = 1) -> Texts:
        self.task.drafter, texts = drafter, []
        for start in range(0, len(self.prompts), batch):
            lengths = torch.cat(self.lengths[start : start + batch])
            texts += self.task.generate(self.prompts[start : start + batch], lengths).tokens
        return texts


def _speech(folder: Path, heard: Heard, rounds: int) -> None:
    drafter, end = heard.drafter, heard.task.vocabulary.control("end")
    contestants = {
        "greedy": lambda: heard.decode(None),
        "drafted": lambda: heard.decode(drafter),
        "generate": _speech_peer(_peer(heard.backbone), heard.prompts, end),
    }
    seconds = _timed(contestants, rounds)
    settings = GenerationSettings(max_new_tokens=64, stop_ids=(end,))
    _report(f"speech/{folder.name}", Case(heard.backbone, drafter, heard.prompts, settings), seconds)


def _lossless(folder: Path, heard: Heard) -> None:
    plain, branches, found = heard.decode(None), heard.drafter, {}
    torch.manual_seed(0)
    untrained = Branches(heard.backbone, depth=7).eval()
    for source, drafter, most in (("trained", branches, branches.length), ("random", untrained, 7)):
        for depth in range(1, most + 1, 2):
            drafter.length = depth
            for batch in (1, 16):
                changed = sum(a != b for a, b in zip(plain, heard.decode(drafter, batch), strict=True))
                found[f"{source}/{depth}/batch-{batch}"] = changed
    gaps = torch.cat([_gaps(heard, prompt, tokens) for prompt, tokens in zip(heard.prompts, plain, strict=True)])
    line = {
        "benchmark": f"multi_token/speech/{folder.name}/lossless",
        "utterances": len(plain),
        "tokens": len(gaps),
        "changed_utterances": found,
        "met": not any(found.values()),
        "smallest_gap": float(gaps.min()),
        "gaps_below_1e-4": int((gaps < 1e-4).sum()),
    }
    print(json.dumps(line), flush=True)


@torch.inference_mode()
def _gaps(heard: Heard, prompt: Tensor, tokens: list[int]) -> Tensor:
    """How far the best logit was ahead of the second, at every token of a greedy text: 0 would be a tie."""
    inputs = torch.cat([prompt, heard.backbone.embed(torch.tensor(tokens[:-1], dtype=torch.int64))])
    best = heard.backbone.project(heard.backbone(inputs[None])[0, len(prompt) - 1 :]).topk(2).values
    return best[:, 0] - best[:, 1]


def _speech_peer(peer: Any, prompts: Sequence[Tensor], end: int) -> Callable[[], Texts]:
    options = {"max_new_tokens": 64, "do_sample": False, "eos_token_id": end, "pad_token_id": 0, **_CACHED}

    def run() -> Texts:
        rows = [peer.generate(inputs_embeds=one[None], attention_mask=torch.ones(1, len(one)), **options)
                for one in prompts]  # fmt: skip
        return [row[0].tolist() for row in rows]

    return run


if __name__ == "__main__":
    main()
