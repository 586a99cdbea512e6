"""Masks that are kept between passes."""

import torch
from torch.nn.functional import scaled_dot_product_attention

from stentor.model import cached_attention, forks


def test_a_mask_that_inference_made_serves_training_too():
    forks._visible.cache_clear()
    cached_attention._later.cache_clear()
    given = [torch.randn(1, 2, 9, 4) for _ in range(3)]
    packing = [[3, 2, 2, 2]]
    with torch.inference_mode():
        expected = forks.attend(*given, packing, scaled_dot_product_attention)
        assert not forks._visible(2, 3, torch.device("cpu")).is_inference()
        assert not cached_attention._later(3, torch.float32, torch.device("cpu")).is_inference()
    query, key, value = (one.requires_grad_() for one in given)
    found = forks.attend(query, key, value, packing, scaled_dot_product_attention)
    found.sum().backward()
    assert torch.equal(found.detach(), expected) and query.grad is not None
