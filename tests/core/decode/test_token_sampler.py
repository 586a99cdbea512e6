"""The sampler: the distribution that the settings describe."""

import pytest
import torch

from stentor.decode.sampler import Sampler
from stentor.decode.settings import GenerationSettings
from stentor.errors import StentorError

PROBABILITIES = torch.tensor([0.05, 0.4, 0.3, 0.15, 0.1])


def frequencies(draws=4000, history=(), **options):
    rows = range(draws)
    sampler = Sampler(GenerationSettings(**{"temperature": 1.0, **options}), draws)
    chosen = sampler.choose(PROBABILITIES.log().expand(draws, -1), rows, [list(history)] * draws)
    return torch.bincount(chosen, minlength=5) / draws


def close(found, expected):
    torch.testing.assert_close(found, torch.tensor(expected), atol=0.03, rtol=0)


def test_plain_sampling_follows_the_probabilities():
    close(frequencies(), PROBABILITIES.tolist())


def test_temperature_sharpens():
    squared = PROBABILITIES**2
    close(frequencies(temperature=0.5), (squared / squared.sum()).tolist())


def test_top_k_keeps_the_best():
    found = frequencies(top_k=2)
    close(found, [0, 0.4 / 0.7, 0.3 / 0.7, 0, 0])
    assert found[[0, 3, 4]].sum() == 0


def test_top_p_keeps_the_fewest_that_reach_it():
    found = frequencies(top_p=0.6)
    close(found, [0, 0.4 / 0.7, 0.3 / 0.7, 0, 0])
    assert found[[0, 3, 4]].sum() == 0
    assert frequencies(top_p=0.01)[1] == 1


def test_forbidden_tokens_never_come():
    logits = PROBABILITIES.log().clone()
    logits[[1, 2]] = -torch.inf
    sampler = Sampler(GenerationSettings(temperature=5.0), 500)
    chosen = sampler.choose(logits.expand(500, -1), range(500), [[]] * 500)
    assert set(chosen.tolist()) == {0, 3, 4}


def test_repetition_penalty_follows_the_sign_of_the_logit():
    sampler = Sampler(GenerationSettings(repetition_penalty=2.0), 3)
    logits = torch.tensor([[2.0, 1.5, -3.0], [-1.0, -1.5, -3.0], [2.0, 1.5, -3.0]])
    assert sampler.choose(logits, [0, 1, 2], [[0], [0], [2]]).tolist() == [1, 1, 0]


def test_ties_and_greedy_take_the_first():
    sampler = Sampler(GenerationSettings(), 1)
    assert sampler.choose(torch.tensor([[1.0, 3.0, 3.0]]), [0], [[]]).tolist() == [1]


def test_the_guard_draws_anew_what_recurs():
    turning = {"top_k": 1, "repetition_window": 10, "repetition_share": 0.1}
    assert frequencies(history=[1, 0], **turning)[1] == 1
    close(frequencies(history=[1, 0, 1], **turning), PROBABILITIES.tolist())
    assert frequencies(history=[1, 1] + [0] * 10, **turning)[1] == 1


def test_the_guard_keeps_to_what_the_grammar_allows():
    logits = PROBABILITIES.log().clone()
    logits[[0, 3, 4]] = -torch.inf
    sampler = Sampler(GenerationSettings(repetition_window=4, repetition_share=0.2), 300)
    chosen = sampler.choose(logits.expand(300, -1), range(300), [[1, 1, 1]] * 300)
    assert set(chosen.tolist()) == {1, 2}


def test_a_row_with_its_own_seed_does_not_mind_its_neighbours():
    logits = torch.zeros(3, 50)
    together = Sampler(GenerationSettings(temperature=1.0, seeds=(7, 8, 9)), 3).choose(logits, range(3), [[]] * 3)
    alone = Sampler(GenerationSettings(temperature=1.0, seeds=(8,)), 1).choose(logits[:1], [0], [[]])
    assert alone.tolist() == together[1:2].tolist()
    with pytest.raises(StentorError, match="a seed each"):
        Sampler(GenerationSettings(temperature=1.0, seeds=(7, 8)), 3)
