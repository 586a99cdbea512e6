"""Draft and verify: the tokens of greedy decoding, whatever is drafted, and exact books about it."""

import pytest
import torch
from counting import CYCLE, SIZE, Scripted, text, trained

from stentor.decode.drafters.branches import Branches
from stentor.decode.engine import generate
from stentor.decode.settings import GenerationSettings
from stentor.errors import StentorError
from stentor.model.causal_lm import CausalLM
from stentor.sequence.grammar import interleave, only

SETTINGS = GenerationSettings(max_new_tokens=26, stop_ids=(16,))


def mixed_prompts(seed, rows=9):
    """Texts of the language cut anywhere, and noise; of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda high: int(torch.randint(high, (1,), generator=generator))  # noqa: E731
    known = [torch.tensor(text(draw(CYCLE), 1 + draw(12))) for _ in range(rows // 2)]
    return known + [torch.randint(SIZE, (1 + draw(15),), generator=generator) for _ in range(rows - len(known))]


def untrained(depth):
    torch.manual_seed(100 + depth)
    backbone = CausalLM(SIZE, architecture="qwen3", dim=32, layers=2, heads=4, kv_heads=2)
    return backbone.eval(), Branches(backbone, depth=depth)


@pytest.mark.parametrize("depth", [1, 3, 5, 7])
@pytest.mark.parametrize("source", ["trained", "random"])
def test_branches_change_no_token(depth, source):
    backbone, branches = trained(depth) if source == "trained" else untrained(depth)
    for seed in range(3):
        prompts = mixed_prompts(seed)
        plain = generate(backbone, prompts, SETTINGS)
        together = generate(backbone, prompts, SETTINGS, drafter=branches)
        assert (together.tokens, together.reasons) == (plain.tokens, plain.reasons)
        for prompt, tokens in zip(prompts, plain.tokens, strict=True):
            assert generate(backbone, [prompt], SETTINGS, drafter=branches).tokens == [tokens]


@pytest.mark.parametrize("length", [1, 3, 5, 7])
def test_drafts_that_are_always_wrong_cost_no_pass_and_change_no_token(length):
    backbone, _ = untrained(1)
    prompts = [torch.tensor([row, *range(row)]) for row in range(12)]
    plain = generate(backbone, prompts, SETTINGS)
    told = dict(enumerate(plain.tokens))
    wrong = Scripted(backbone, length=length, told=told, change=lambda token: (token + 1) % SIZE)
    made = generate(backbone, prompts, SETTINGS, drafter=wrong)
    assert made.tokens == plain.tokens
    assert made.statistics.forwards == plain.statistics.forwards == sum(map(len, plain.tokens))
    assert sum(made.statistics.to_json()["all_rounds"]["accepted"]) == 0
    for prompt, tokens in zip(prompts, plain.tokens, strict=True):
        assert generate(backbone, [prompt], SETTINGS, drafter=wrong).tokens == [tokens]


@pytest.mark.parametrize("length", [1, 3, 5, 7])
def test_drafts_that_are_always_right_take_the_fewest_passes(length):
    backbone, _ = untrained(1)
    prompts = [torch.tensor([row, *range(row)]) for row in range(6)]
    free = GenerationSettings(max_new_tokens=26)
    plain = generate(backbone, prompts, free)
    right = Scripted(backbone, length=length, told=dict(enumerate(plain.tokens)))
    made = generate(backbone, prompts, free, drafter=right)
    assert made.tokens == plain.tokens
    assert made.statistics.forwards == 6 * (1 + -(-25 // (1 + length)))


@pytest.mark.parametrize("case", ["free", "interleaved", "penalised"])
def test_grammars_penalties_and_log_probs_compose(case):
    backbone, branches = trained(5)
    prompts = mixed_prompts(7)
    grammar = interleave(SIZE, [(range(9), 1), (range(9, 20), 3)], end=20, pad=21) if case == "interleaved" else None
    settings = GenerationSettings(
        max_new_tokens=24, log_probs=True, repetition_penalty=1.4 if case == "penalised" else 1.0
    )
    heard = [[] for _ in prompts]
    plain = generate(backbone, prompts, settings, grammar=grammar)
    made = generate(backbone, prompts, settings, grammar=grammar, drafter=branches,
                    on_token=lambda row, token: heard[row].append(token))  # fmt: skip
    assert made.tokens == plain.tokens == heard and made.reasons == plain.reasons
    for one, other in zip(made.log_probs, plain.log_probs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_a_stop_function_ends_rows_inside_a_draft():
    backbone, branches = trained(5)
    prompts = [torch.tensor(text(start, 3)) for start in range(6)]
    stop = lambda row, tokens: len(tokens) >= 2 + row  # noqa: E731
    plain = generate(backbone, prompts, GenerationSettings(max_new_tokens=20), stop=stop)
    made = generate(backbone, prompts, GenerationSettings(max_new_tokens=20), stop=stop, drafter=branches)
    assert made.tokens == plain.tokens and [len(row) for row in made.tokens] == [2, 3, 4, 5, 6, 7]


def test_the_books_are_exact():
    backbone, branches = trained(5)
    for seed in (1, 2):
        prompts = mixed_prompts(seed)
        made = generate(backbone, prompts, SETTINGS, drafter=branches)
        told = made.statistics.to_json()
        assert told["tokens"] == sum(map(len, made.tokens)) and told["rows"] == len(prompts)
        assert told["forwards"] == told["rows"] + told["all_rounds"]["rounds"]
        for rounds in (told["all_rounds"], told["whole_rounds"]):
            assert abs(rounds["mean_accepted_length"] - 1 - sum(rounds["rates"])) < 1e-9
            assert rounds["rates"] == sorted(rounds["rates"], reverse=True)


def test_after_training_a_pass_gives_more_than_two_tokens():
    backbone, branches = trained(5)
    prompts = [torch.tensor(text(start, 2)) for start in range(CYCLE)]
    made = generate(backbone, prompts, GenerationSettings(max_new_tokens=25), drafter=branches)
    assert made.statistics.to_json()["forwards_per_token"] <= 0.5


def test_sampling_and_foreign_grammars_are_refused():
    backbone, branches = trained(1)
    prompt = [torch.tensor([CYCLE])]
    with pytest.raises(StentorError, match="greedy decoding alone"):
        generate(backbone, prompt, GenerationSettings(temperature=0.5), drafter=branches)
    with pytest.raises(StentorError, match="over 9 ids"):
        generate(backbone, prompt, grammar=only(9, [1]), drafter=branches)


def test_drafting_leaves_modes_and_gradients_alone():
    backbone, branches = untrained(3)
    backbone.train()
    branches.train()
    generate(backbone, mixed_prompts(0), SETTINGS, drafter=branches)
    assert backbone.training and branches.training
    assert all(parameter.requires_grad for parameter in branches.parameters())
