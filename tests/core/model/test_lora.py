"""LoRA: only its parameters train, merging changes nothing, and decoding sees it live."""

import pytest
import torch

from stentor.errors import StentorError
from stentor.model import lora
from stentor.model.causal_lm import CausalLM
from stentor.model.lora_settings import LoraSettings

pytest.importorskip("peft", reason="LoRA needs the extra 'lora'")


@pytest.fixture
def adapted():
    torch.manual_seed(0)
    backbone = CausalLM(40, architecture="qwen2", dim=32, layers=2, heads=4, kv_heads=2).eval()
    lora.apply(backbone, LoraSettings(rank=4))
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if "lora_B" in name:  # it starts at zero, where LoRA does nothing
                parameter.normal_(std=0.2)
    return backbone.eval()


def inputs_of(backbone):
    return backbone.embed(torch.arange(12).view(2, 6)).detach()


def test_it_starts_by_changing_nothing():
    torch.manual_seed(0)
    backbone = CausalLM(40, dim=32, layers=2, heads=4).eval()
    inputs = inputs_of(backbone)
    before = backbone(inputs)
    lora.apply(backbone, LoraSettings(rank=4))
    assert torch.equal(backbone(inputs), before)


def test_only_the_added_matrices_train(adapted):
    frozen = {name: parameter.clone() for name, parameter in adapted.named_parameters() if "lora_" not in name}
    trained = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert trained and all("lora_" in name for name in trained)
    optimiser = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=0.1)
    adapted.project(adapted(inputs_of(adapted))).square().mean().backward()
    optimiser.step()
    assert all(torch.equal(adapted.get_parameter(name), old) for name, old in frozen.items())


@torch.no_grad()
def test_merged_equals_unmerged(adapted):
    inputs = inputs_of(adapted)
    live = adapted(inputs)
    lora.merge(adapted)
    assert not any("lora_" in name for name, _ in adapted.named_parameters())
    torch.testing.assert_close(adapted(inputs), live, atol=1e-5, rtol=0)
    torch.testing.assert_close(adapted(inputs, cache=adapted.new_cache(2, 6)), live, atol=1e-5, rtol=0)


@torch.no_grad()
def test_cached_decoding_follows_live_switched_and_changed_updates(adapted):
    inputs, seen = inputs_of(adapted), []

    def agree():
        plain = adapted(inputs)
        torch.testing.assert_close(adapted(inputs, cache=adapted.new_cache(2, 6)), plain, atol=1e-5, rtol=0)
        seen.append(plain)

    agree()
    layers = [module for module in adapted.modules() if lora.is_adapted(module)]
    for layer in layers:
        layer.enable_adapters(False)
    agree()
    for layer in layers:
        layer.enable_adapters(True)
    layers[0].lora_B["default"].weight.mul_(3)
    agree()
    assert adapted._fused.current(adapted, inputs, thorough=True) is not None
    assert not torch.allclose(seen[0], seen[1]) and not torch.allclose(seen[0], seen[2])


def test_unknown_layers_and_ranks_are_refused():
    backbone = CausalLM(40, dim=32, layers=2, heads=4)
    with pytest.raises(StentorError, match="q_proj"):
        lora.apply(backbone, LoraSettings(rank=4, targets=["q_prj"]))
    with pytest.raises(StentorError, match="at least 1"):
        lora.apply(backbone, LoraSettings())
