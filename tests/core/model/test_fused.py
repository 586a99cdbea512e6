"""The fused decoder: the same numbers as the layers of transformers, and never those of old weights."""

import pytest
import torch

from stentor.model import cached_attention
from stentor.model.causal_lm import CausalLM
from stentor.model.taps import taps

SIZE = 40


def model(architecture="llama"):
    torch.manual_seed(0)
    return CausalLM(SIZE, architecture=architecture, dim=32, layers=2, heads=4, kv_heads=2).eval()


def ids(*shape, seed=1):
    return torch.randint(0, SIZE, shape, generator=torch.Generator().manual_seed(seed))


def stepped(backbone, inputs, mask, steps):
    cache = backbone.new_cache(len(inputs), inputs.shape[1] + len(steps))
    hidden = [backbone(inputs, mask=mask, cache=cache)]
    return torch.cat(hidden + [backbone(step, cache=cache) for step in steps], 1)


def is_fused(backbone):
    return backbone._fused.current(backbone, torch.zeros(1), thorough=True) is not None


@pytest.mark.parametrize("gather_from", [0, 1 << 30])
@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3"])
@torch.no_grad()
def test_fused_equals_the_plain_layers_on_ragged_rows(architecture, gather_from, monkeypatch):
    monkeypatch.setattr(cached_attention, "_GATHER_FROM", gather_from)
    backbone = model(architecture)
    for parameter in backbone.parameters():  # norms and biases away from one and zero
        parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)) * 0.05)
    counts = torch.tensor([3, 9, 6])
    valid = torch.arange(9) < counts[:, None]
    inputs, steps = backbone.embed(ids(3, 9)), [backbone.embed(ids(3, 1, seed=s)) for s in (2, 3)]
    assert is_fused(backbone)
    fused = stepped(backbone, inputs, valid, steps)
    with taps(backbone) as tap:  # a tap on a layer leaves the fused path
        tap.record(0)
        assert not is_fused(backbone)
        plain = stepped(backbone, inputs, valid, steps)
    for row, count in enumerate(counts.tolist()):
        torch.testing.assert_close(fused[row, :count], plain[row, :count], atol=1e-5, rtol=0)
        torch.testing.assert_close(fused[row, 9:], plain[row, 9:], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_cache_passes_between_the_two_ways():
    backbone = model()
    inputs = backbone.embed(ids(2, 8))
    cache = backbone.new_cache(2, 8)
    parts = [backbone(inputs[:, :4], cache=cache)]
    with taps(backbone) as tap:
        seen = tap.record(1)
        parts.append(backbone(inputs[:, 4:6], cache=cache))
        assert len(seen) == 1
    parts.append(backbone(inputs[:, 6:], cache=cache))
    torch.testing.assert_close(torch.cat(parts, 1), backbone(inputs), atol=1e-5, rtol=0)


def test_training_with_a_fused_optimiser_is_seen():
    """On the CPU its steps leave no mark on the weights; a run is validated between such steps."""
    backbone = model().eval()
    inputs = backbone.embed(ids(1, 6)).detach()
    optimiser = torch.optim.AdamW(backbone.parameters(), lr=0.1, fused=True)
    for _ in range(2):
        with torch.no_grad():
            decoded = backbone(inputs, cache=backbone.new_cache(1, 6))
            torch.testing.assert_close(decoded, backbone(inputs), atol=1e-5, rtol=0)
            assert is_fused(backbone)
        backbone.train()
        backbone(inputs).square().sum().backward()
        optimiser.step()
        backbone.eval()


def test_an_optimiser_step_is_seen():
    backbone = model()
    inputs = backbone.embed(ids(1, 6)).detach()
    optimiser = torch.optim.SGD(backbone.parameters(), lr=0.5)
    for _ in range(2):
        with torch.no_grad():
            hidden = backbone(inputs, cache=backbone.new_cache(1, 6))
            logits = backbone.project(hidden)
            torch.testing.assert_close(hidden, backbone(inputs), atol=1e-5, rtol=0)
        torch.testing.assert_close(logits, backbone.project(hidden), atol=1e-5, rtol=0)
        backbone.project(backbone(inputs)).square().mean().backward()
        optimiser.step()


@pytest.mark.parametrize("change", ["in place", "data", "parameter", "state dict", "vocabulary"])
@torch.no_grad()
def test_any_change_of_weights_is_seen(change):
    backbone, other = model(), model("llama")
    inputs = backbone.embed(ids(1, 6))
    before = backbone.project(backbone(inputs, cache=backbone.new_cache(1, 6)))
    linear = backbone.decoder.layers[1].mlp.up_proj
    if change == "in place":
        linear.weight.mul_(2)
    elif change == "data":
        linear.weight.data = linear.weight.data * 2
    elif change == "parameter":
        linear.weight = torch.nn.Parameter(linear.weight * 2)
    elif change == "state dict":
        other.decoder.layers[0].mlp.up_proj.weight.mul_(2)
        backbone.load_state_dict(other.state_dict())
    else:
        backbone.resize_vocabulary(SIZE + 1)
    hidden = backbone(inputs, cache=backbone.new_cache(1, 6))
    after = backbone.project(hidden)
    torch.testing.assert_close(hidden, backbone(inputs), atol=1e-5, rtol=0)
    assert after.shape != before.shape or not torch.allclose(after, before, atol=1e-4)


@torch.no_grad()
def test_hooks_inside_a_layer_are_honoured():
    backbone = model()
    inputs = backbone.embed(ids(1, 6))
    backbone(inputs, cache=backbone.new_cache(1, 6))
    handle = backbone.decoder.layers[0].mlp.register_forward_hook(lambda *_: torch.zeros(1))
    silenced = backbone(inputs, cache=backbone.new_cache(1, 6))
    torch.testing.assert_close(silenced, backbone(inputs), atol=1e-5, rtol=0)
    handle.remove()
    assert not torch.allclose(silenced, backbone(inputs, cache=backbone.new_cache(1, 6)))
