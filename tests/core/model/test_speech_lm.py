"""The SpeechLM: sequences do not see each other, continuous slots get their embeddings, logits only where needed."""

import pytest
import torch

from stentor.model.speech_lm import SpeechLM, both_ways_mask, flatten
from stentor.plugins import registry
from stentor.sequence import spans
from stentor.sequence.packing import pack

SIZE = 20


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return SpeechLM(registry().build("backbone", "causal-lm", SIZE, dim=32, layers=2, heads=2)).eval()


def sequence(heard, ids, attention="causal"):
    return [spans.control(1), spans.heard(heard, attention=attention), spans.text(ids)]


@pytest.mark.parametrize("attention", ["causal", "both-ways"])
def test_a_batch_gives_what_its_sequences_give_alone(model, attention):
    batch = [sequence(5, [3, 4, 5], attention), sequence(2, [6], attention)]
    heard = torch.randn(7, 32)
    together = model(pack(batch), heard)
    alone = torch.cat([model(pack(batch[:1]), heard[:5]), model(pack(batch[1:]), heard[5:])])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_both_ways_spans_look_ahead_and_text_does_not(model):
    batch = [sequence(4, [3, 4], "both-ways")]
    heard = torch.randn(4, 32)
    before = model(pack(batch), heard)
    changed = heard.clone()
    changed[3] += 1
    assert not torch.allclose(model(pack(batch), changed)[1], before[1])
    later = model(pack([sequence(4, [3, 9], "both-ways")]), heard)
    torch.testing.assert_close(later[:6], before[:6], atol=1e-6, rtol=1e-6)


def test_causal_spans_do_not_look_ahead(model):
    heard = torch.randn(4, 32)
    changed = heard.clone()
    changed[3] += 1
    packed = pack([sequence(4, [3, 4])])
    torch.testing.assert_close(model(packed, changed)[:4], model(packed, heard)[:4], atol=1e-6, rtol=1e-6)


def test_loss_is_the_weighted_mean_over_targets_alone(model):
    packed = pack([[*sequence(2, [3, 4]), spans.control(7, weight=3.0)]])
    heard = torch.randn(2, 32)
    loss, units = model.loss(packed, heard)
    log_probs = model.backbone.project(model(packed, heard)).log_softmax(-1)
    expected = -(log_probs[2, 3] + log_probs[3, 4] + 3 * log_probs[4, 7]) / 5
    assert units == 3
    torch.testing.assert_close(loss, expected)


def test_continuous_positions_take_no_token_embedding(model):
    packed = pack([sequence(3, [2])])
    heard = torch.randn(3, 32)
    assert torch.equal(model.embed(packed, heard)[1:4], heard)


def test_mask_never_lets_a_padded_position_be_seen():
    packed = pack([sequence(3, [2], "both-ways"), sequence(1, [2], "both-ways")])
    mask = both_ways_mask(packed)
    assert not mask[1, :3, 3:].any()
    assert mask.diagonal(dim1=1, dim2=2).all()


def test_flatten_keeps_valid_rows_in_order():
    rows = torch.arange(12.0).view(2, 3, 2)
    assert flatten(rows, [1, 3]).tolist() == [[0, 1], [6, 7], [8, 9], [10, 11]]
