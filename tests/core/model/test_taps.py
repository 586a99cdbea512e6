"""Layer taps: nothing changes unless asked for; knockout is exactly that."""

import pytest
import torch

from stentor.model.causal_lm import CausalLM
from stentor.model.taps import taps


@pytest.fixture(params=["llama", "olmo2"])
def backbone(request):
    torch.manual_seed(0)
    return CausalLM(40, architecture=request.param, dim=32, layers=3, heads=4).eval()


@pytest.fixture
def inputs(backbone):
    return backbone.embed(torch.arange(16).view(2, 8)).detach()


@torch.no_grad()
def test_untouched_outputs_are_bit_identical(backbone, inputs):
    plain = backbone(inputs)
    with taps(backbone) as tap:
        seen = [tap.record(layer) for layer in range(3)]
        tap.replace(1, lambda hidden: hidden)
        for layer in range(3):
            tap.mask(layer, lambda mask: mask)
        assert torch.equal(backbone(inputs), plain)
    assert [len(record) for record in seen] == [1, 1, 1]
    assert torch.equal(backbone.decoder.norm(seen[2][0]), plain)
    assert torch.equal(backbone(inputs), plain) and len(seen[0]) == 1


@torch.no_grad()
def test_untouched_packed_and_cached_outputs_are_bit_identical(backbone, inputs):
    row, lengths = inputs.flatten(0, 1)[None], [3, 9, 4]
    packed = backbone(row, packed=lengths)
    with taps(backbone) as tap:
        tap.record(0)
        cache = backbone.new_cache(2, 8)
        plain = [backbone(part, cache=cache) for part in inputs.split([5, 1, 2], 1)]
        tap.mask(1, lambda mask: mask)
        assert torch.equal(backbone(row, packed=lengths), packed)
        cache = backbone.new_cache(2, 8)
        again = [backbone(part, cache=cache) for part in inputs.split([5, 1, 2], 1)]
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))


@torch.no_grad()
def test_replaced_states_are_what_later_layers_see(backbone, inputs):
    other = backbone.embed(torch.arange(20, 36).view(2, 8))
    with taps(backbone) as tap:
        kept = tap.record(1)
        wanted = backbone(other)
    with taps(backbone) as tap:
        tap.replace(1, lambda hidden: kept[0])
        seen = tap.record(1)
        assert torch.equal(backbone(inputs), wanted)
    assert torch.equal(seen[0], kept[0])


@torch.no_grad()
def test_knockout_blocks_the_pair_and_nothing_else(backbone, inputs):
    def blind(mask):
        mask[:, 5:, 2] = False
        return mask

    changed = inputs.clone()
    changed[:, 2] += 1
    with taps(backbone) as tap:
        for layer in range(3):
            tap.mask(layer, blind)
        # positions 3 and 4 still see 2, so they must not pass it on either
        for layer in range(3):
            tap.mask(layer, lambda mask: mask & ~torch.zeros_like(mask).index_fill_(2, torch.tensor([3, 4]), True)
                     | torch.eye(8, dtype=torch.bool))  # fmt: skip
        first, second = backbone(inputs), backbone(changed)
    torch.testing.assert_close(first[:, 5:], second[:, 5:], atol=1e-6, rtol=0)
    assert not torch.allclose(first[:, 3], second[:, 3])


@torch.no_grad()
def test_knockout_in_one_layer_equals_a_mask_of_that_layer_alone(backbone, inputs):
    window = torch.ones(1, 8, 8, dtype=torch.bool).tril().triu(-2)
    with taps(backbone) as tap:
        for layer in range(3):
            tap.mask(layer, lambda mask: mask & window)
        everywhere = backbone(inputs)
    torch.testing.assert_close(everywhere, backbone(inputs, mask=window.expand(2, 8, 8)), atol=1e-6, rtol=0)
    with taps(backbone) as tap:
        tap.mask(2, lambda mask: mask & window)
        last = backbone(inputs)
    torch.testing.assert_close(last[:, :3], backbone(inputs)[:, :3], atol=1e-6, rtol=0)
    assert not torch.allclose(last[:, 5:], backbone(inputs)[:, 5:])


@torch.no_grad()
def test_a_mask_with_a_cache_is_that_of_the_whole(backbone, inputs):
    def blind(mask):
        width, seen = mask.shape[1:]
        rows = torch.arange(seen - width, seen)
        mask[:, rows >= 4, 1] = False
        return mask

    with taps(backbone) as tap:
        tap.mask(1, blind)
        whole, cache = backbone(inputs), backbone.new_cache(2, 8)
        parts = [backbone(part, cache=cache) for part in inputs.split([3, 3, 1, 1], 1)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)


def test_recorded_states_carry_gradients(backbone, inputs):
    with taps(backbone) as tap:
        seen = tap.record(0)
        backbone(inputs).sum().backward()
    assert seen[0].requires_grad and backbone.decoder.layers[0].mlp.down_proj.weight.grad is not None


def test_taps_leave_no_hooks_even_after_an_error(backbone):
    with pytest.raises(IndexError, match="0\\.\\.2"), taps(backbone) as tap:
        tap.record(0)
        tap.record(3)
    assert not any(layer._forward_hooks or layer._forward_pre_hooks for layer in backbone.decoder_layers())
