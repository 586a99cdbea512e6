"""A policy that speaks: codes under a grammar of the text, sound for rewards that listen, no blame for the text."""

from pathlib import Path

import pytest
import tiny
import tiny_voice
import torch
from tiny_voice import TEXTS, policy

from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor.train.assembly import assemble, build
from stentor_align import legal, logprobs, rollout
from stentor_align.preferences.batches import of_batch
from stentor_align.rollout import SamplingSettings
from stentor_align.tasks import experience

pytest.importorskip("stentor_tts")
HOT = SamplingSettings(temperature=1.2)


class Listening(Reward):
    """How many samples there are, of a response's sound."""

    nature = "learned"

    def score(self, prompts, responses):
        return Scores(torch.tensor([float(len(one["audio"])) for one in responses]), {})


@pytest.fixture(autouse=True, scope="module")
def rewards():
    table = registry()
    saved = table.snapshot()
    tiny_voice.register_reward()
    table.add("reward", "listening", f"{__name__}:Listening")
    yield
    table.restore(saved)


def batch(*texts, **custom):
    rows = [f"row-{place}" for place in range(len(texts))]
    told = {"ids": rows, "texts": list(texts), "speakers": ["ada"] * len(texts), "seconds": float(len(texts))}
    return {**told, "custom": [dict(custom) for _ in texts]}


def sampled(task, *texts, samples=3, seed=1):
    with torch.no_grad():
        prompts = task.ask(batch(*texts))
    return prompts, rollout.sample(task, prompts, HOT, samples=samples, seed=seed)


@pytest.mark.parametrize("order", ["by-word", "text-first"])
def test_log_probs_recomputed_are_those_seen_while_sampling(order):
    task = policy(order)
    prompts, made = sampled(task, *TEXTS)
    found, _ = rollout.rescore(task, prompts, made, HOT)
    torch.testing.assert_close(found.log_probs.detach(), torch.cat(made.log_probs), atol=1e-5, rtol=0)
    assert all(made.ended) and len({len(row) for row in made.tokens}) > 3


def test_what_is_said_obeys_the_grammar_of_its_own_text():
    task = policy()
    prompts, made = sampled(task, *TEXTS)
    for owner, tokens in zip(made.owners, made.tokens, strict=True):
        units = task.lessons.spelling.units([(TEXTS[owner], "")])
        assert [i for i in tokens if i < task.text.size] == [i for unit in units[1:] for i in unit.ids]
        assert tokens[-1] == task.speech.end and len(tokens) <= prompts.longest[owner]
    with pytest.raises(StentorError, match=r"response 0 .* forbids"):
        legal.along(prompts.grammars([1]), made.tokens[:1])


def test_the_text_of_a_word_is_certain_and_moves_nothing():
    task = policy()
    prompts, made = sampled(task, TEXTS[0], samples=2)
    text = torch.tensor([token < task.text.size for row in made.tokens for token in row])
    assert text.any() and not torch.cat(made.log_probs)[text].any()
    read = logprobs.read(task.backbone, prompts.embeddings, made.tokens, made.owners)
    read.before.retain_grad()
    found = logprobs.score(task.backbone, read, legal=legal.of_choices(prompts, made.owners, made.tokens))
    found.log_probs.sum().backward()
    assert not found.log_probs[text].any() and not read.before.grad[text].any()
    assert read.before.grad[~text].any(1).float().mean() > 0.9


def test_a_reward_for_tokens_makes_no_sound_and_one_that_listens_makes_it_once(monkeypatch):
    task, heard = policy(), []

    def aloud(requests, said):
        heard.append(len(said))
        return [torch.ones(100 * len(one.codes[0])) for one in said]

    monkeypatch.setattr(task, "aloud", aloud)
    prompts, made = sampled(task, *TEXTS, samples=2)
    responses = task.responses(prompts, made.owners, made.tokens)
    assert responses[0]["text"] == TEXTS[0] and responses[0]["tokens"] == made.tokens[0]
    assert "audio" in responses[0] and responses[0].get("score") is None and "score" not in responses[0]
    build("reward", {"name": "few"}).score([{}] * 6, responses)
    assert heard == []
    parts = {"short": {"reward": {"name": "few"}, "weight": 0.1}, "long": {"reward": {"name": "listening"}}}
    scores = build("reward", {"name": "composite", "parts": parts}).score(prompts.asked, responses)
    assert heard == [6] and scores.parts["long"].tolist() == [100.0 * len(one) for one in codes(task, made)]
    torch.testing.assert_close(scores.total, scores.parts["long"] + 0.1 * scores.parts["short"])


def codes(task, made):
    return [task.speech.said(row).codes[0] for row in made.tokens]


def test_rewards_of_the_plugin_score_what_is_said(monkeypatch):
    """Duration and style listen; a response without any sound is left out and counted, and costs nobody else."""
    task = policy()
    tone = torch.sin(torch.arange(16000) * 0.3) * 0.2
    monkeypatch.setattr(task, "aloud", lambda requests, said: [tone, tone[:0]] * (len(said) // 2))
    parts = {
        "time": {"reward": {"name": "duration"}},
        "style": {"reward": {"name": "style-compliance"}, "needed": False},
    }
    reward = build("reward", {"name": "composite", "parts": parts})
    _, responses, scores = experience.answered(
        task, batch(*TEXTS[:2], style={"energy": 1}), reward, HOT, samples=2, seed=1
    )
    assert scores.total.isnan().tolist() == [False, True] * 2 and scores.parts["failed/time"].tolist() == [0, 1] * 2
    assert scores.parts["style/energy"][0] > 0 and responses[0]["sample_rate"] == task.sample_rate


def test_a_row_that_cannot_be_said_is_answered_by_nothing_and_costs_nobody_else(monkeypatch):
    task = policy()
    monkeypatch.setattr(task, "aloud", lambda requests, said: [torch.ones(9)] * len(said))
    prompts, made = sampled(task, TEXTS[0], "", "stop", samples=2)
    end = task.speech.end
    assert made.tokens[2:4] == [[end], [end]] and len(made.tokens[4]) > 1
    responses = task.responses(prompts, made.owners, made.tokens)
    assert [len(one["audio"]) for one in responses] == [9, 9, 0, 0, 9, 9]
    lost = task.ask(batch("stop", prompt={"audio": "/nowhere/ada.wav"}))
    assert lost.requests == [None]
    turned = prompts.repeated([2, 0])
    assert turned.requests == [prompts.requests[2], prompts.requests[0]] and turned.grammars([1, 0]) == [
        prompts.grammar[0],
        prompts.grammar[2],
    ]


def test_sampling_says_it_in_the_same_way_without_a_codec_in_memory():
    task = policy()
    assert sampled(task, *TEXTS)[1].tokens == sampled(task, *TEXTS)[1].tokens
    assert not task.codec.there and not task.hears


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return str(tiny_voice.kept(tmp_path_factory.mktemp("speaking") / "run"))


def tuned(parent, name, **options):
    torch.manual_seed(1)
    task = assemble({"task": {"name": name, "run": parent, **options}}, texts=[])
    task.load_pretrained()
    assert task.cached_encoder() is None
    return task.train()


def steps(task, found, count, lr):
    optimiser = torch.optim.AdamW(task.parameters(), lr=lr)
    losses = []
    for _ in range(count):
        optimiser.zero_grad()
        losses.append(task.training_loss(found))
        losses[-1].value.backward()
        optimiser.step()
    return losses


def test_grpo_teaches_it_to_be_brief(parent):
    task = tuned(parent, "grpo", samples=6, reward={"name": "few"})
    rewards = [one.parts["reward"] for one in steps(task, batch("stop", "set noon"), 20, 3e-3)]
    assert sum(rewards[-5:]) > sum(rewards[:5]) + 15, rewards
    assert not task.policy.codec.there


def test_ppo_of_a_voice_moves_it_after_the_critic_has_warmed_up(parent):
    task = tuned(parent, "ppo", samples=3, warmup=1, value_clip=None, reward={"name": "few"})
    begun = {name: one.detach().clone() for name, one in task.policy.named_parameters()}

    def moved():
        return [name for name, one in task.policy.named_parameters() if not torch.equal(one, begun[name])]

    first = steps(task, batch(*TEXTS), 1, 1e-3)[0]
    assert first.parts["kl"] == pytest.approx(0, abs=1e-3) and not moved()
    later = steps(task, batch(*TEXTS), 2, 1e-3)
    assert moved() and all(torch.isfinite(one.value) for one in later) and later[-1].parts["kl"] != 0


def test_dpo_learns_how_it_should_be_said_and_leaves_out_what_could_not_be(parent):
    task = tuned(parent, "dpo", beta=0.3)
    _, one = sampled(task.policy, *TEXTS, samples=2)
    found = batch(*TEXTS)
    found["custom"] = [{"chosen": {"tokens": one.tokens[2 * row]}, "rejected": {"tokens": one.tokens[2 * row + 1]}}
                       for row in range(3)]  # fmt: skip
    found["custom"][2]["chosen"] = {"tokens": one.tokens[0]}  # what another text was answered with
    kept = of_batch(found, task.policy, task.policy.ask(found))
    assert len(kept) == 2 and "forbids" in kept.dropped[0]
    losses = steps(task, found, 8, 1e-3)
    assert float(losses[0].value) == pytest.approx(0.6931, abs=1e-3) and losses[-1].parts["accuracy"] == 1
    assert losses[-1].parts["dropped"] == 1
    found["custom"] = [{"chosen": "turn on the radio", "rejected": {"tokens": one.tokens[0]}}]
    assert "needs 'tokens'" in of_batch(batch(TEXTS[0]) | {"custom": found["custom"]}, task.policy).dropped[0]


def test_a_tuned_voice_is_evaluated_and_taken_out_of_its_run(parent, tmp_path, monkeypatch):
    from stentor.evaluate.speaking import speaks
    from stentor.train.run import fit, load
    from stentor_align.merging import merge

    preferred = tiny.recipe({"name": "grpo", "run": parent, "samples": 4, "reward": {"name": "few"}},
                            tiny_voice.manifest(tmp_path / "texts.jsonl.gz", ["stop"]), steps=1)  # fmt: skip
    fit(preferred, tmp_path / "tuned", progress=False)
    tuned = load(tmp_path / "tuned")[1]
    monkeypatch.setattr(tuned.policy, "synthesise", lambda batch: [torch.ones(9)] * len(batch["ids"]))
    assert speaks(tuned) and [len(one) for one in tuned.synthesise(batch(*TEXTS))] == [9, 9, 9]
    merge(tmp_path / "voice", [str(tmp_path / "tuned")], "linear")
    voice = load(tmp_path / "voice")[1].eval()
    assert "reads" in voice.capabilities
    assert sampled(voice, *TEXTS)[1].tokens == sampled(tuned.policy.eval(), *TEXTS)[1].tokens


def test_neither_plugin_imports_the_other():
    root = Path(__file__).parents[2] / "plugins"
    for own, other in (("tts", "stentor_align"), ("align", "stentor_tts")):
        for file in root.glob(f"{own}/stentor_{own}/**/*.py"):
            assert f"import {other}" not in file.read_text() and f"from {other}" not in file.read_text(), file
