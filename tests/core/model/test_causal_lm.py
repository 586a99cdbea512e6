"""The backbone `causal-lm`: transformers' own numbers, and the invariants of masks, positions, packing and caches."""

import copy
import pickle

import pytest
import torch

from stentor.errors import StentorError
from stentor.model.causal_lm import CausalLM

SIZE = 50


def model(architecture="llama", **options):
    torch.manual_seed(0)
    return CausalLM(SIZE, architecture=architecture, dim=32, layers=3, heads=4, kv_heads=2, **options).eval()


def reference(ours):
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_config(copy.deepcopy(ours.decoder.config), attn_implementation="eager").eval()
    theirs.model.load_state_dict(ours.decoder.state_dict())
    if ours.head is not None:
        theirs.lm_head.load_state_dict(ours.head.state_dict())
    theirs.tie_weights()
    return theirs


def ids(*shape, seed=1):
    return torch.randint(0, SIZE, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3", "olmo2"])
@torch.no_grad()
def test_logits_are_those_of_transformers(architecture, tied):
    ours = model(architecture, tie_embeddings=tied)
    batch = ids(2, 9)
    logits = ours.project(ours(ours.embed(batch)))
    torch.testing.assert_close(logits, reference(ours)(batch).logits, atol=1e-5, rtol=0)


def test_loss_and_gradients_are_those_of_transformers():
    ours = model()
    theirs, batch = reference(ours), ids(2, 9)
    logits = ours.project(ours(ours.embed(batch)))
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten())
    loss.backward()
    other = theirs(batch, labels=batch).loss
    other.backward()
    torch.testing.assert_close(loss, other, atol=1e-5, rtol=0)
    expected = dict(theirs.model.named_parameters())
    for name, parameter in ours.decoder.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_future_changes_nothing():
    ours = model()
    inputs = ours.embed(ids(1, 10))
    changed = inputs.clone()
    changed[:, 6:] += 1
    torch.testing.assert_close(ours(inputs)[:, :6], ours(changed)[:, :6], atol=0, rtol=0)


@torch.no_grad()
def test_padding_and_neighbours_change_nothing():
    ours = model()
    inputs = ours.embed(ids(2, 10))
    inputs[1, 6:] = 9.0
    mask = torch.arange(10) < torch.tensor([[10], [6]])
    torch.testing.assert_close(ours(inputs, mask=mask)[1, :6], ours(inputs[1:, :6])[0], atol=1e-5, rtol=0)


def test_packed_sequences_give_the_loss_and_gradients_of_separate_ones():
    ours, lengths = model(), [5, 1, 9, 3]
    rows = [ours.embed(ids(n, seed=n)) for n in lengths]
    packed = ours(torch.cat(rows)[None], packed=lengths)[0]
    apart = torch.cat([ours(row[None])[0] for row in rows])
    torch.testing.assert_close(packed, apart, atol=1e-5, rtol=0)
    weight = ours.decoder.layers[0].self_attn.q_proj.weight
    first, second = (torch.autograd.grad((out**2).sum(), weight, retain_graph=True)[0] for out in (packed, apart))
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_packed_lengths_that_do_not_fit_are_refused():
    ours = model()
    with pytest.raises(ValueError, match="do not describe"):
        ours(ours.embed(ids(1, 5)), packed=[2, 2])


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "olmo2"])
@torch.no_grad()
def test_cached_steps_of_any_width_equal_one_pass(architecture):
    ours = model(architecture)
    batch = ids(2, 12)
    whole, embedded = ours(ours.embed(batch)), ours.embed(batch)
    cache = ours.new_cache(2, 12)
    parts = [ours(part, cache=cache) for part in embedded.split([4, 1, 1, 5, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)
    assert cache.lengths.tolist() == [12, 12]


@pytest.mark.parametrize("architecture", ["llama", "olmo2"])
@torch.no_grad()
def test_positions_and_masks_hold_with_a_cache(architecture):
    ours = model(architecture)
    inputs, far = ours.embed(ids(1, 6)), torch.arange(6)[None] * 3
    blind = torch.ones(1, 6, 6, dtype=torch.bool).tril()
    blind[:, 2:, 1] = False
    whole = ours(inputs, positions=far, mask=blind)
    cache = ours.new_cache(1, 6)
    first = ours(inputs[:, :4], positions=far[:, :4], mask=blind[:, :4, :4], cache=cache)
    second = ours(inputs[:, 4:], positions=far[:, 4:], mask=blind[:, 4:], cache=cache)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, atol=1e-5, rtol=0)


@torch.no_grad()
def test_half_precision_caches_too():
    ours = model().to(torch.bfloat16)
    inputs = ours.embed(ids(2, 6))
    cache = ours.new_cache(2, 6)
    parts = [ours(part, cache=cache) for part in inputs.split([5, 1], dim=1)]
    torch.testing.assert_close(torch.cat(parts, 1), ours(inputs), atol=0.1, rtol=0.1)


@pytest.mark.parametrize("tied", [True, False])
def test_growing_the_vocabulary_keeps_old_rows_bit_identical(tied):
    ours = model(tie_embeddings=tied)
    before = [ours.decoder.embed_tokens.weight.clone(), ours.projection.clone()]
    ours.resize_vocabulary(SIZE + 7)
    after = [ours.decoder.embed_tokens.weight, ours.projection]
    assert all(torch.equal(new[:SIZE], old) and len(new) == SIZE + 7 for new, old in zip(after, before, strict=True))
    assert ours.project(ours(ours.embed(torch.tensor([[SIZE + 6]])))).shape[-1] == SIZE + 7
    with pytest.raises(StentorError, match="cannot shrink"):
        ours.resize_vocabulary(SIZE)


def test_dropout_is_random_in_training_and_off_otherwise():
    ours = model(dropout=0.3)
    inputs = ours.embed(ids(1, 8))
    assert torch.equal(ours(inputs), ours(inputs))
    ours.train()
    assert not torch.allclose(ours(inputs), ours(inputs))


def test_dim_must_divide_into_heads():
    with pytest.raises(StentorError, match="multiple of twice the number of heads"):
        CausalLM(SIZE, dim=30, heads=4)


@torch.no_grad()
def test_copies_and_pickles_survive_after_decoding():
    ours = model()
    inputs = ours.embed(ids(1, 4))
    ours(inputs, cache=ours.new_cache(1, 4))
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        twin.decoder.layers[0].mlp.down_proj.weight += 0.1
        own = twin(inputs, cache=twin.new_cache(1, 4))
        torch.testing.assert_close(own, twin(inputs), atol=1e-5, rtol=0)
        assert not torch.allclose(own, ours(inputs))


@pytest.mark.parametrize("tied", [True, False])
def test_pretrained_weights_from_a_folder(tmp_path, tied):
    source = model("qwen2", tie_embeddings=tied, rope_theta=5000.0)
    reference(source).save_pretrained(tmp_path)
    ours = CausalLM(SIZE + 3, weights=str(tmp_path)).eval()
    provenance = ours.load_pretrained()
    assert CausalLM.dim_of(weights=str(tmp_path)) == 32 and "sha256" in provenance
    batch = ids(2, 7)
    with torch.no_grad():
        logits, expected = (m.project(m(m.embed(batch))) for m in (ours, source))
    torch.testing.assert_close(logits[..., :SIZE], expected, atol=1e-5, rtol=0)


def test_pretrained_weights_of_another_family_or_nowhere(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(StentorError, match="gpt2"):
        CausalLM(SIZE, weights=str(tmp_path))
    with pytest.raises(StentorError, match="not at hand"):
        CausalLM(SIZE, weights="nobody/nothing")


def test_a_fork_gives_the_loss_and_gradients_of_copies_of_its_beginning():
    ours, begun = model(), ids(5)
    rests = [ids(n, seed=n) for n in (4, 4, 2, 7)]
    apart = sum(ours(ours.embed(torch.cat([begun, rest]))[None])[0, 4:].square().sum() for rest in rests) / 100
    expected = torch.autograd.grad(apart, list(ours.parameters()))
    fork = [len(begun), *map(len, rests)]
    hidden = ours(ours.embed(torch.cat([begun, *rests]))[None], packed=[fork])[0]
    together = (hidden[5:].square().sum() + len(rests) * hidden[4].square().sum()) / 100
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-5)
    for found, wanted in zip(torch.autograd.grad(together, list(ours.parameters())), expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
