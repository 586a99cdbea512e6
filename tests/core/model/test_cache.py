"""The key-value cache: rows of different lengths, exact rollback, selection."""

import pytest
import torch

from stentor.model.causal_lm import CausalLM

SIZE = 40


@pytest.fixture(params=["llama", "olmo2"])  # with and without the fused decoder
def backbone(request):
    torch.manual_seed(0)
    return CausalLM(SIZE, architecture=request.param, dim=32, layers=2, heads=4, kv_heads=2).eval()


def ids(*shape, seed=1):
    return torch.randint(0, SIZE, shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_rows_of_different_lengths_go_on_as_if_alone(backbone):
    counts, prompt, more = [2, 7, 5], backbone.embed(ids(3, 7)), backbone.embed(ids(3, 3, seed=2))
    mask = torch.arange(7) < torch.tensor(counts)[:, None]
    cache = backbone.new_cache(3, 10)
    backbone(prompt, mask=mask, cache=cache)
    stepped = torch.cat([backbone(part, cache=cache) for part in more.split([1, 2], dim=1)], 1)
    assert cache.lengths.tolist() == [5, 10, 8]
    for row, count in enumerate(counts):
        whole = backbone(torch.cat([prompt[row, :count], more[row]])[None])[0, count:]
        torch.testing.assert_close(stepped[row], whole, atol=1e-5, rtol=0)


@torch.no_grad()
def test_rollback_is_exact_even_over_garbage(backbone):
    prompt, more = backbone.embed(ids(2, 8)), backbone.embed(ids(2, 2, seed=3))
    cache = backbone.new_cache(2, 12)
    backbone(prompt, cache=cache)
    backbone(more * 100, cache=cache)
    cache.truncate(torch.tensor([5, 8]))
    resumed = backbone(more, cache=cache)
    for row, count in enumerate([5, 8]):
        whole = backbone(torch.cat([prompt[row, :count], more[row]])[None])[0, count:]
        torch.testing.assert_close(resumed[row], whole, atol=1e-4, rtol=0)


@torch.no_grad()
def test_selected_rows_go_on_in_their_order(backbone):
    prompt, more = backbone.embed(ids(3, 6)), backbone.embed(ids(3, 1, seed=4))
    cache, rows = backbone.new_cache(3, 8), torch.tensor([2, 0, 2])
    backbone(prompt, cache=cache)
    cache.select(rows)
    whole = backbone(torch.cat([prompt[rows], more], 1))[:, -1:]
    torch.testing.assert_close(backbone(more, cache=cache), whole, atol=1e-5, rtol=0)


@torch.no_grad()
def test_storage_grows_without_losing_anything(backbone):
    inputs = backbone.embed(ids(1, 300))
    cache = backbone.new_cache(1, 300)
    parts = [backbone(part, cache=cache) for part in inputs.split([100, 1, 60, 139], dim=1)]
    assert cache.room == 300
    torch.testing.assert_close(torch.cat(parts, 1), backbone(inputs), atol=1e-5, rtol=0)


@torch.no_grad()
def test_misuse_is_refused(backbone):
    cache = backbone.new_cache(2, 4)
    with pytest.raises(ValueError, match="capacity"):
        backbone(backbone.embed(ids(2, 5)), cache=cache)
    with pytest.raises(ValueError, match="rows"):
        backbone(backbone.embed(ids(1, 2)), cache=cache)
    backbone(backbone.embed(ids(2, 2)), cache=cache)
    with pytest.raises(ValueError, match="truncate"):
        cache.truncate(torch.tensor([3, 1]))
