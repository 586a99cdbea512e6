"""Preferences about the words of answers in text and audio: what is masked has no gradient and no part in the loss."""

import pytest
import tiny
import torch

from stentor.model.causal_lm import CausalLM
from stentor.sequence import instruction
from stentor.sequence.chunks import Chunks
from stentor.sequence.tokenizers import Characters
from stentor.tasks.text_lm import TextLMTask
from stentor_align import logprobs
from stentor_align.losses import preference
from stentor_align.tasks.dpo import DPOTask


class Interleaved(TextLMTask):
    """Answers with a character and two codes by turns."""

    def __init__(self):
        text = Characters()
        text.train(["abcdef say"])
        built = instruction.vocabulary(text.size)
        audio = built.add("audio", 8)
        built.add_controls(["pad"], "padding")
        super().__init__(CausalLM(built.size, dim=32, layers=2, heads=2), text)
        self.vocabulary = built
        words, (pad, end) = self.vocabulary.block("text").range, map(self.vocabulary.control, ("pad", "end"))
        self.chunks = Chunks(self.vocabulary.size, words, [audio.range], text=1, codes=[2], pad=pad, end=end)

    def tokens_of(self, response):
        words, codes = self.text.encode(response["text"]), torch.tensor(response["tokens"])
        return self.chunks.ids(words, (codes + self.vocabulary.block("audio").start,)).tolist()


def batch(chosen_codes=(0, 1, 2, 3, 4, 5), rejected_codes=(7, 6, 5, 4)):
    found = tiny.batch("abc")
    found["custom"][0] |= {"chosen": {"text": "abc", "tokens": list(chosen_codes)},
                           "rejected": {"text": "de", "tokens": list(rejected_codes)}}  # fmt: skip
    return found


def tuned(**options):
    torch.manual_seed(0)
    task = DPOTask(Interleaved(), **options).train()
    with torch.no_grad():  # a reference that differs, so that the loss is not at its beginning
        for parameter in task.policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return task


def gradients(task, monkeypatch):
    """Ids of the responses, and the gradient [N, D] at the hidden state that each is chosen from."""
    kept = []
    original = logprobs.score

    def watched(backbone, found, **more):
        if found.before.requires_grad:
            found.before.retain_grad()
            kept.append(found)
        return original(backbone, found, **more)

    monkeypatch.setattr(logprobs, "score", watched)
    task.training_loss(batch()).value.backward()
    (found,) = kept
    return found.ids, found.before.grad


def test_the_gradient_at_audio_positions_is_exactly_zero_when_masked(monkeypatch):
    whole, masked = tuned(), tuned(left_out=["audio"])
    audio = whole.policy.vocabulary.block("audio")
    ids, grad = gradients(masked, monkeypatch)
    heard = (ids >= audio.start) & (ids < audio.start + audio.size)
    assert heard.sum() == 10
    assert not grad[heard].any() and grad[~heard].any(1).all()
    ids, grad = gradients(whole, monkeypatch)
    assert grad[heard].any(1).all()


def test_masked_sums_are_over_the_text_alone():
    task = tuned(left_out=["audio"])
    given = batch()["custom"][0]
    loss = task.training_loss(batch())
    totals = []
    for policy in (task.policy, task.reference):
        for side in ("chosen", "rejected"):
            tokens = policy.tokens_of(given[side])
            read = logprobs.read(policy.backbone, policy.ask(batch()).embeddings, [tokens])
            values, audio = logprobs.score(policy.backbone, read).log_probs, policy.vocabulary.block("audio").range
            totals.append(values[[place for place, token in enumerate(tokens) if token not in audio]].sum())
    expected = preference.dpo((totals[0] - totals[2])[None], (totals[1] - totals[3])[None], beta=0.1)
    torch.testing.assert_close(loss.value, expected.mean(), atol=1e-5, rtol=1e-4)


def test_a_step_of_masked_preference_moves_audio_less_than_an_unmasked_one():
    """Of the same parent: nats by which right codes behind right words change in one step of plain descent."""
    moved = {}
    for name, left_out in (("masked", ["audio"]), ("unmasked", [])):
        task = tuned(left_out=left_out)
        before = audio_nats(task.policy)
        task.training_loss(batch()).value.backward()
        norm = torch.nn.utils.clip_grad_norm_(task.policy.parameters(), 1.0)
        assert norm > 0
        with torch.no_grad():
            for parameter in task.policy.parameters():
                parameter.sub_(0.05 * parameter.grad)
        task.refresh()
        moved[name] = float((audio_nats(task.policy) - before).abs().sum())
    assert moved["masked"] < 0.5 * moved["unmasked"], moved


@torch.no_grad()
def audio_nats(policy):
    """Log-probability of each audio code of both responses."""
    given = batch()["custom"][0]
    tokens = [policy.tokens_of(given[side]) for side in ("chosen", "rejected")]
    read = logprobs.read(policy.backbone, list(policy.ask(batch()).embeddings), tokens, [0, 0])
    audio = policy.vocabulary.block("audio").range
    heard = torch.tensor([token in audio for row in tokens for token in row])
    return logprobs.score(policy.backbone, read).log_probs[heard]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
