"""Rollouts: legal, repeatable, and scored again with the probabilities that they were sampled with."""

import pytest
import tiny
import torch

from stentor.errors import StentorError
from stentor.interfaces.policy import Prompts
from stentor.model import lora
from stentor.model.lora_settings import LoraSettings
from stentor.sequence.grammar import interleave
from stentor_align import reference, rollout
from stentor_align.rollout import SamplingSettings

HOT = SamplingSettings(temperature=1.3)


@pytest.fixture(scope="module")
def policy():
    return tiny.policy()


def asked(policy, *texts):
    with torch.no_grad():
        return policy.ask(tiny.batch(*texts))


def test_log_probs_recomputed_are_those_seen_while_sampling(policy):
    prompts = asked(policy, "abc", "f", "edcba")
    made = rollout.sample(policy, prompts, HOT, samples=5, seed=1)
    assert made.owners == [0] * 5 + [1] * 5 + [2] * 5
    found, _ = rollout.rescore(policy, prompts, made, HOT)
    torch.testing.assert_close(found.log_probs.detach(), torch.cat(made.log_probs), atol=1e-5, rtol=0)
    assert len({len(row) for row in made.tokens}) > 1, "responses of one length test little"


def test_so_are_those_of_a_grammar_with_states(policy):
    size, end = policy.vocabulary.size, policy.vocabulary.control("end")
    grammar = interleave(size, [(range(3), 1), (range(3, 7), 2)], end=end, pad=size - 2)
    plain = asked(policy, "abc", "f")
    prompts = Prompts(plain.embeddings, plain.asked, [9, 6], grammar, (end,))
    made = rollout.sample(policy, prompts, HOT, samples=4, seed=2)
    assert all(len(row) <= limit for row, limit in zip(made.tokens, [9] * 4 + [6] * 4, strict=True))
    found, _ = rollout.rescore(policy, prompts, made, HOT)
    torch.testing.assert_close(found.log_probs.detach(), torch.cat(made.log_probs), atol=1e-5, rtol=0)


def test_the_same_seed_says_the_same_and_torch_s_source_gives_the_seed(policy):
    prompts = asked(policy, "abc")
    one, again, other = (rollout.sample(policy, prompts, HOT, samples=3, seed=seed).tokens for seed in (1, 1, 2))
    assert one == again != other
    drawn = []
    for _ in range(2):
        torch.manual_seed(7)
        drawn.append([rollout.sample(policy, prompts, HOT).tokens for _ in range(2)])
    assert drawn[0] == drawn[1] and drawn[0][0] != drawn[0][1]


def test_what_is_longest_holds_and_is_told(policy):
    made = rollout.sample(policy, asked(policy, "abc", "f"), SamplingSettings(longest=2), samples=8, seed=1)
    end = policy.vocabulary.control("end")
    assert max(map(len, made.tokens)) == 2
    assert made.ended == [row[-1] == end for row in made.tokens] and not all(made.ended)


def test_the_gradient_reaches_the_prompt(policy):
    prompts = policy.ask(tiny.batch("abc"))
    made = rollout.sample(policy, prompts, HOT, seed=1)
    found, _ = rollout.rescore(policy, prompts, made, HOT)
    (gradient,) = torch.autograd.grad(found.log_probs.sum(), [prompts.embeddings[0]])
    assert gradient.abs().sum(1).all()


def test_a_frozen_reference_stays_and_adapters_off_are_what_was_before():
    pytest.importorskip("peft")
    policy = tiny.policy()
    kept = reference.frozen(policy)
    prompts = asked(policy, "abc", "f")
    made = rollout.sample(policy, prompts, HOT, samples=2, seed=1)
    before = rollout.rescore(policy, prompts, made, HOT)[0].log_probs.detach()
    with pytest.raises(StentorError, match="no adapters"), reference.consulted(policy, None):
        pass
    lora.apply(policy.backbone, LoraSettings(rank=2))
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    changed = rollout.rescore(policy, prompts, made, HOT)[0].log_probs
    assert (changed - before).abs().max() > 0.01
    for copied in (kept, None):
        with reference.consulted(policy, copied) as found:
            now = rollout.rescore(found, prompts, made, HOT)[0].log_probs
            assert not now.requires_grad
            torch.testing.assert_close(now, before, atol=1e-5, rtol=0)
    again = rollout.rescore(policy, prompts, made, HOT)[0].log_probs
    assert torch.equal(changed, again) and again.requires_grad
    policy.backbone.decoder.norm.weight.requires_grad_(True)
    with (
        pytest.raises(StentorError, match=r"decoder\.norm\.weight.* is trained beside"),
        reference.consulted(policy, None),
    ):
        pass
