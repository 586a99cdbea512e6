"""The generation engine: transformers' tokens, batch equals single, stops, streaming, exact log-probabilities."""

import copy

import pytest
import torch

from stentor.decode.engine import generate
from stentor.decode.settings import GenerationSettings
from stentor.errors import StentorError
from stentor.model.causal_lm import CausalLM
from stentor.sequence.grammar import interleave, only

SIZE = 60


@pytest.fixture(scope="module", params=["llama", "qwen3", "olmo2"])
def backbone(request):
    torch.manual_seed(0)
    return CausalLM(SIZE, architecture=request.param, dim=32, layers=2, heads=4, kv_heads=2, dropout=0.2)


@pytest.fixture(scope="module")
def prompts():
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(1, SIZE, (n,), generator=generator) for n in (4, 11, 1, 7)]


def test_greedy_tokens_are_those_of_transformers(backbone, prompts):
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_config(copy.deepcopy(backbone.decoder.config)).eval()
    theirs.model.load_state_dict(backbone.decoder.state_dict())
    theirs.tie_weights()
    made = generate(backbone, prompts, GenerationSettings(max_new_tokens=24))
    for prompt, tokens in zip(prompts, made.tokens, strict=True):
        expected = theirs.generate(prompt[None], attention_mask=torch.ones(1, len(prompt)), max_new_tokens=24,
                                   do_sample=False, eos_token_id=None, pad_token_id=0)  # fmt: skip
        assert tokens == expected[0, len(prompt) :].tolist()
    assert made.reasons == ["length"] * 4 and made.log_probs is None


SAMPLED = GenerationSettings(
    max_new_tokens=16, temperature=0.9, top_k=30, top_p=0.95, repetition_penalty=1.2, seed=5, stop_ids=(7, 8, 9)
)


@pytest.mark.parametrize("settings", [GenerationSettings(max_new_tokens=16, stop_ids=(7, 8, 9)), SAMPLED])
def test_rows_do_not_depend_on_their_batch(backbone, prompts, settings):
    together = generate(backbone, prompts, settings)
    for row, prompt in enumerate(prompts):
        own = GenerationSettings(**{**vars(settings), "seed": settings.seed + row})
        alone = generate(backbone, [prompt], own)
        assert (alone.tokens[0], alone.reasons[0]) == (together.tokens[row], together.reasons[row])


def test_sampling_repeats_under_its_seed_and_differs_between_seeds(backbone, prompts):
    first, again, other = (
        generate(backbone, prompts, GenerationSettings(max_new_tokens=16, temperature=1.0, seed=seed)).tokens
        for seed in (1, 1, 100)
    )
    assert first == again and first != other


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_log_probs_equal_a_teacher_forced_pass(backbone, prompts, temperature):
    grammar = only(SIZE, range(20, SIZE))
    settings = GenerationSettings(max_new_tokens=12, temperature=temperature, log_probs=True, stop_ids=(25, 26))
    made = generate(backbone, prompts, settings, grammar=grammar)
    backbone.eval()
    for prompt, tokens, log_probs in zip(prompts, made.tokens, made.log_probs, strict=True):
        inputs = backbone.embed(torch.cat([prompt, torch.tensor(tokens)])[None])
        exact = backbone.project(backbone(inputs))[0, len(prompt) - 1 : -1].log_softmax(-1)
        torch.testing.assert_close(log_probs, exact[range(len(tokens)), tokens].detach(), atol=1e-5, rtol=0)


def test_prompts_may_be_embeddings(backbone, prompts):
    settings = GenerationSettings(max_new_tokens=5)
    embedded = [backbone.embed(prompt).detach() for prompt in prompts]
    assert generate(backbone, embedded, settings) == generate(backbone, prompts, settings)


def test_stop_ids_and_callbacks_end_rows_and_are_told_in_order(backbone, prompts):
    free = generate(backbone, prompts, GenerationSettings(max_new_tokens=10)).tokens
    heard = [[] for _ in prompts]
    made = generate(
        backbone,
        prompts,
        GenerationSettings(max_new_tokens=10, stop_ids=(free[0][4],)),
        on_token=lambda row, token: heard[row].append(token),
        stop=lambda row, tokens: row == 1 and len(tokens) == 3,
    )
    assert heard == made.tokens
    assert made.tokens[0] == free[0][: free[0].index(free[0][4]) + 1] and made.reasons[0] == "stop"
    cut = free[1][:3]
    if free[0][4] not in cut:
        assert made.tokens[1] == cut and made.reasons[1] == "callback"


def test_a_grammar_is_never_violated_and_ends_rows(backbone, prompts):
    grammar = interleave(SIZE, [(range(20), 1), (range(20, 50), 4)], end=50, pad=51)
    settings = GenerationSettings(max_new_tokens=40, temperature=1.5, seed=2)
    made = generate(backbone, prompts, settings, grammar=grammar)
    for tokens, reason in zip(made.tokens, made.reasons, strict=True):
        state = grammar.start()
        for token in tokens:
            assert grammar.allowed(state)[token]
            state = grammar.advance(state, token)
        assert reason == ("grammar" if tokens[-1] == 50 else "length")
    assert "grammar" in made.reasons


def test_generating_leaves_the_mode_and_gradients_alone(backbone, prompts):
    backbone.train()
    first = generate(backbone, prompts, GenerationSettings(max_new_tokens=4)).tokens
    assert backbone.training and generate(backbone, prompts, GenerationSettings(max_new_tokens=4)).tokens == first
    assert backbone.project(backbone(backbone.embed(prompts[0][None]))).requires_grad


def test_impossible_input(backbone):
    assert generate(backbone, []).tokens == []
    with pytest.raises(StentorError, match="over 9 ids"):
        generate(backbone, [torch.tensor([1])], grammar=only(9, [1]))
    with pytest.raises(StentorError, match="prompt 1 is empty"):
        generate(backbone, [torch.tensor([1]), torch.tensor([], dtype=torch.long)])


def test_wrong_settings_are_all_named():
    with pytest.raises(StentorError) as caught:
        GenerationSettings(max_new_tokens=0, temperature=-1, top_p=0, top_k=-1, repetition_penalty=0)
    assert {problem.path for problem in caught.value.problems} == {
        "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty"
    }  # fmt: skip


def test_several_samples_of_a_prompt_are_those_of_copies_of_it(backbone, prompts):
    settings = {"max_new_tokens": 12, "temperature": 1.0, "seed": 9, "stop_ids": (7, 8, 9), "log_probs": True}
    shared = generate(backbone, prompts, GenerationSettings(**settings, samples=3))
    copied = generate(backbone, [prompt for prompt in prompts for _ in range(3)], GenerationSettings(**settings))
    assert shared.tokens == copied.tokens and shared.reasons == copied.reasons
    assert len({tuple(row) for row in shared.tokens[:3]}) > 1
    for one, other in zip(shared.log_probs, copied.log_probs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_log_probs_of_the_policy_count_temperature_and_grammar_in(backbone, prompts):
    grammar = only(SIZE, range(20, SIZE))
    settings = GenerationSettings(max_new_tokens=8, temperature=1.7, log_probs="policy")
    made = generate(backbone, prompts, settings, grammar=grammar)
    backbone.eval()
    for prompt, tokens, log_probs in zip(prompts, made.tokens, made.log_probs, strict=True):
        inputs = backbone.embed(torch.cat([prompt, torch.tensor(tokens)])[None])
        logits = backbone.project(backbone(inputs))[0, len(prompt) - 1 : -1] / 1.7
        exact = logits[:, 20:].log_softmax(-1)[range(len(tokens)), [token - 20 for token in tokens]]
        torch.testing.assert_close(log_probs, exact.detach(), atol=1e-5, rtol=0)


def test_a_drafter_has_neither_samples_nor_log_probs_of_the_policy(backbone, prompts):
    for wrong in ({"samples": 2}, {"log_probs": "policy"}):
        with pytest.raises(StentorError, match="one greedy continuation"):
            generate(backbone, prompts, GenerationSettings(**wrong), drafter=torch.nn.Identity())


def test_every_prompt_may_have_a_grammar_of_its_own(backbone, prompts):
    grammars = [only(SIZE, [3 + 2 * row, 4 + 2 * row]) for row in range(len(prompts))]
    made = generate(backbone, prompts, GenerationSettings(max_new_tokens=4, samples=2), grammar=grammars)
    for row, tokens in enumerate(made.tokens):
        assert set(tokens) <= {3 + 2 * (row // 2), 4 + 2 * (row // 2)}
    with pytest.raises(StentorError, match="a grammar each"):
        generate(backbone, prompts, grammar=grammars[1:])
