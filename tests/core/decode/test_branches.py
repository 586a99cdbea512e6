"""Prediction branches: what they are trained on, what they share, where they begin, and exact rollback."""

import copy
import pickle
from itertools import pairwise

import pytest
import torch
from counting import CYCLE, SIZE, batch, text, trained

from stentor.decode.drafters.branches import Branches
from stentor.decode.engine import generate
from stentor.decode.settings import GenerationSettings
from stentor.errors import StentorError
from stentor.interfaces.backbone import Backbone
from stentor.model.branches import loss_weights, shifted_targets
from stentor.model.causal_lm import CausalLM
from stentor.sequence import spans
from stentor.sequence.packing import pack


def small(architecture="llama", **options):
    torch.manual_seed(0)
    return CausalLM(SIZE, architecture=architecture, dim=32, layers=2, heads=4, kv_heads=2, **options).eval()


def test_loss_weights_sum_to_one_and_fall_by_the_decay():
    weights = loss_weights(5, 0.9)
    assert abs(sum(weights) - 1) < 1e-12
    assert weights == pytest.approx([0.2442, 0.2198, 0.1978, 0.1780, 0.1602], abs=1e-4)
    assert [b / a for a, b in pairwise(weights)] == pytest.approx([0.9] * 4)
    assert Branches(small()).weights == weights


def test_a_branch_is_trained_on_its_own_distance_within_the_text():
    packed = pack([[spans.text([1, 2], weight=0), spans.text([3, 4, 5])], [spans.text([6], weight=0), spans.text([7])]])
    # positions: 0:1 1:2 2:3 3:4 4:5 | 5:6 6:7; the main head is trained at 1, 2, 3 and 5
    places, targets, weights = shifted_targets(packed, 1)
    assert (places.tolist(), targets.tolist(), weights.tolist()) == ([1, 2], [4, 5], [1, 1])
    assert [part.tolist() for part in shifted_targets(packed, 2)] == [[1], [5], [1]]
    assert shifted_targets(packed, 3)[0].tolist() == []


def test_a_counting_language_is_drafted_without_a_fault():
    backbone, branches = trained(5)
    prompts = [torch.tensor(text(start, 3)) for start in range(CYCLE)]
    made = generate(backbone, prompts, GenerationSettings(max_new_tokens=19), drafter=branches)
    assert made.tokens == [text(start, 22)[4:] for start in range(CYCLE)]
    assert made.statistics.to_json()["whole_rounds"]["rates"] == [1.0] * 5


def test_embeddings_and_head_are_the_backbones_own():
    for tied in (True, False):
        backbone = small(tie_embeddings=tied)
        branches = Branches(backbone, depth=2)
        assert branches.backbone is backbone and branches.backbone.projection is backbone.projection
        assert not [name for name in branches.state_dict() if "embed" in name or "head" in name]
        own = {parameter.data_ptr() for parameter in branches.parameters()}
        assert not own & {parameter.data_ptr() for parameter in backbone.parameters()}
        twin = copy.deepcopy(torch.nn.ModuleList([backbone, branches]))
        assert twin[1].backbone is twin[0]


@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3", "olmo2"])
def test_a_branch_layer_begins_as_the_last_layer_and_computes_what_it_computes(architecture):
    backbone = small(architecture)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    branches = Branches(backbone, depth=2)
    last, norm = backbone.decoder.layers[-1], backbone.decoder.norm
    for branch in branches.branches:
        for name, value in branch.tail.decoder.layers[0].state_dict().items():
            assert torch.equal(value, last.state_dict()[name])
        assert torch.equal(branch.tail.decoder.norm.weight, norm.weight)
    seen = []
    handle = last.register_forward_pre_hook(lambda _, given, named: seen.append((given or [named["hidden_states"]])[0]),
                                            with_kwargs=True)  # fmt: skip
    inputs = backbone.embed(torch.arange(9)[None])
    expected = backbone(inputs)
    handle.remove()
    torch.testing.assert_close(branches.branches[0].tail(seen[0]), expected)


def test_weights_that_come_later_are_copied_when_asked_for():
    backbone = small()
    branches = Branches(backbone, depth=2)
    with torch.no_grad():
        backbone.decoder.layers[-1].mlp.up_proj.weight.add_(1)
    branches.load_pretrained()
    copied = branches.branches[1].tail.decoder.layers[0].mlp.up_proj.weight
    assert torch.equal(copied, backbone.decoder.layers[-1].mlp.up_proj.weight)


def uncached(branches, ids, drafted):
    """Logits that branch i gives at the last position of `ids` but one, over the whole text, without any cache."""
    backbone = branches.backbone
    hidden = backbone(backbone.embed(ids[:-1])[None])
    found = []
    for index, branch in enumerate(branches.branches[: len(drafted)]):
        known = torch.cat([ids, drafted])
        following = backbone.embed(known[index + 1 : index + len(ids)])[None]
        hidden = branch.tail(branch.mix(hidden, following))
        found.append(backbone.project(hidden[0, -1]))
    return found


class Watched(Branches):
    """Branches that compare every logit, and every hidden state they are told, with a recomputation from nothing."""

    rounds, rejections, worst = 0, 0, 0.0

    def start(self, prefilled):
        draft = super().start(prefilled)
        self.texts = [[*ids.tolist(), int(first)] for ids, first in zip(prefilled.ids, prefilled.first, strict=True)]
        self.logits = []
        project = draft.steps.project
        draft.steps.project = lambda hidden: self.logits.append(project(hidden)) or self.logits[-1]
        propose, accept, select = draft.propose, draft.accept, draft.select

        def proposed(most):
            self.logits.clear()
            held = [length - count for length, count in zip(draft.lengths, draft.counts, strict=True)]
            assert draft.steps.lengths.tolist() == held
            assert all(len(text) == length + 1 for text, length in zip(self.texts, draft.lengths, strict=True))
            drafted = propose(most)
            for row, told in enumerate(self.texts):
                for measured, expected in zip(self.logits, uncached(self, torch.tensor(told), drafted[row])):  # noqa: B905
                    wanted = expected if draft.steps.ids is None else expected[draft.steps.ids]
                    self.worst = max(self.worst, float((measured[row] - wanted).abs().max()))
            return drafted

        def accepted(tokens, counts, hidden):
            for row, (said, count) in enumerate(zip(tokens.tolist(), counts, strict=True)):
                before = len(self.texts[row])
                self.texts[row] += said[:count]
                exact = self.backbone(self.backbone.embed(torch.tensor(self.texts[row][:-1]))[None])[0, before - 1 :]
                self.worst = max(self.worst, float((hidden[row, :count] - exact).abs().max()))
                self.rejections += count < tokens.shape[1]
            accept(tokens, counts, hidden)
            # the window still to run covers everything that drafted tokens have touched
            assert all(
                count >= min(length, self.length) for count, length in zip(draft.counts, draft.lengths, strict=True)
            )
            assert self.cache.lengths.tolist() == [len(told) - 1 for told in self.texts]
            self.rounds += 1

        def selected(rows):
            self.texts = [self.texts[row] for row in rows.tolist()]
            select(rows)

        draft.propose, draft.accept, draft.select = proposed, accepted, selected
        return draft


@pytest.mark.parametrize(("architecture", "depth"), [("llama", 5), ("qwen3", 3), ("olmo2", 5)])
def test_after_every_rejection_all_caches_hold_what_was_accepted(architecture, depth):
    """olmo2 has no fused form, so its branches run layer by layer."""
    if architecture == "llama":
        backbone, source = trained(depth)
    else:
        backbone, source = small(architecture), None
    watched = Watched(backbone, depth=depth).eval()
    if source is not None:
        watched.load_state_dict(source.state_dict())
        with torch.no_grad():  # two good branches and then bad ones: drafts are accepted in part
            watched.branches[2].join.weight.neg_()
    made = backbone.new_cache

    def recorded(*shape):
        watched.cache = made(*shape)
        return watched.cache

    backbone.new_cache = recorded
    try:
        for seed in (0, 1, 2):
            generator = torch.Generator().manual_seed(seed)
            prompts = [torch.randint(SIZE, (count,), generator=generator) for count in (3, 9, 1, 6)]
            prompts.append(torch.tensor(text(4, 5)))
            settings = GenerationSettings(max_new_tokens=24, stop_ids=(2,))
            for rows in (prompts, prompts[:1]):
                generate(backbone, rows, settings, drafter=watched)
                assert watched.worst < 1e-4
        assert watched.rounds >= 6 and watched.rejections >= 3
    finally:
        del backbone.new_cache


def narrowed(source, vocabulary, counts):
    """A copy of `source` that drafts at most `vocabulary` ids, counted so."""
    branches = Branches(source.backbone, depth=source.length, vocabulary=vocabulary).eval()
    branches.load_state_dict({**source.state_dict(), "counts": counts})
    return branches


def proposals(branches, prompts, settings):
    """What is generated with `branches`, and all ids that they drafted."""
    drafted, start = set(), branches.start

    def watched(prefilled):
        draft = start(prefilled)
        propose = draft.propose

        def told(most):
            found = propose(most)
            drafted.update(found.flatten().tolist())
            return found

        draft.propose = told
        return draft

    branches.start = watched
    try:
        return generate(branches.backbone, prompts, settings, drafter=branches), drafted
    finally:
        del branches.start


@pytest.mark.parametrize("architecture", ["llama", "olmo2"])
def test_a_draft_vocabulary_changes_no_token_and_drafts_stay_within_it(architecture):
    """olmo2 has no fused form."""
    backbone, source = trained(5)
    if architecture == "olmo2":
        backbone = small(architecture)
        source = Branches(backbone).eval()
    prompts = [torch.tensor(text(start, 2)) for start in range(4)] + [torch.tensor([20, 21, 5])]
    counts = torch.zeros(SIZE, dtype=torch.int64)
    counts[torch.tensor([3, 4, 5, 6, 16])] = torch.tensor([9, 8, 7, 6, 1])
    settings = GenerationSettings(max_new_tokens=20, stop_ids=(16,))
    plain = generate(backbone, prompts, settings)
    for most, allowed in ((3, {3, 4, 5}), (100, {3, 4, 5, 6, 16})):
        branches = narrowed(source, most, counts)
        for rows, expected in ((prompts, plain.tokens), (prompts[:1], plain.tokens[:1])):
            made, drafted = proposals(branches, rows, settings)
            assert made.tokens == expected and drafted and drafted <= allowed


def test_without_counts_or_with_0_the_whole_vocabulary_is_drafted():
    backbone, source = trained(5)
    assert source.vocabulary == 0 and source.counts is None and "counts" not in source.state_dict()
    prompts, settings = [torch.tensor(text(start, 2)) for start in range(4)], GenerationSettings(max_new_tokens=20)
    whole, drafted = proposals(source, prompts, settings)
    assert drafted == set(range(CYCLE))
    uncounted = narrowed(source, 3, torch.zeros(SIZE, dtype=torch.int64))
    assert generate(backbone, prompts, settings, drafter=uncounted).statistics == whole.statistics
    with torch.no_grad():
        uncounted.counts[:CYCLE] += 1  # in place: the fused copy has to notice
    uncounted.vocabulary = SIZE
    assert generate(backbone, prompts, settings, drafter=uncounted).statistics == whole.statistics
    with torch.no_grad():
        uncounted.counts[3:] = 0
    assert proposals(uncounted, prompts, settings)[1] == {0, 1, 2}


def test_targets_are_counted_while_training_alone():
    branches = Branches(small(), depth=2, vocabulary=4)
    packed = pack([[spans.text([1, 2], weight=0), spans.text([3, 4, 3])], [spans.text([6], weight=0), spans.text([7])]])
    _loss(branches.eval(), packed)
    assert not branches.counts.any()
    for _ in range(2):
        _loss(branches.train(), packed)
    assert {i: n for i, n in enumerate(branches.counts.tolist()) if n} == {3: 4, 4: 2, 7: 2}


def test_a_doubtful_draft_is_short_and_the_text_the_same():
    backbone, branches = trained(5)
    doubtful = Branches(backbone, confidence=0.9).eval()
    doubtful.load_state_dict(branches.state_dict())
    prompts = [torch.tensor(text(start, 2)) for start in range(5)] + [torch.tensor([20, 21, 5]), torch.tensor([22])]
    settings = GenerationSettings(max_new_tokens=20)
    for rows in (prompts, prompts[-1:], prompts[:1]):
        made = generate(backbone, rows, settings, drafter=doubtful)
        assert made.tokens == generate(backbone, rows, settings).tokens
    sure, unsure = (
        generate(backbone, [row], settings, drafter=doubtful).statistics for row in (prompts[0], prompts[-1])
    )
    assert sum(unsure.to_json()["all_rounds"]["drafted"]) <= sum(sure.to_json()["all_rounds"]["drafted"]) * 5


def test_changed_weights_are_used_at_once():
    backbone, branches = trained(3)
    changed = copy.deepcopy(branches)
    prompt = [torch.tensor(text(3, 4))]
    settings = GenerationSettings(max_new_tokens=12)
    before = generate(backbone, prompt, settings, drafter=changed).statistics.forwards
    with torch.no_grad():
        for branch in changed.branches:
            branch.join.weight.neg_()
    after = generate(backbone, prompt, settings, drafter=changed)
    assert after.statistics.forwards > before
    assert after.tokens == generate(backbone, prompt, settings).tokens


def test_pickled_branches_draft_alike():
    backbone, branches = trained(3)
    settings = GenerationSettings(max_new_tokens=12)
    generate(backbone, [torch.tensor([CYCLE])], settings, drafter=branches)
    again = pickle.loads(pickle.dumps(branches))
    prompts = [torch.tensor(text(start, 2)) for start in range(3)]
    one, other = (generate(backbone, prompts, settings, drafter=drafter) for drafter in (branches, again))
    assert one.statistics == other.statistics


def test_a_text_too_short_for_a_branch_costs_nothing():
    branches = Branches(small(), depth=5)
    packed = pack([[spans.text([1], weight=0), spans.text([2, 3])]])
    inputs = branches.backbone.embed(packed.ids)
    loss = branches.training_loss(packed, inputs, branches.backbone(inputs[None], packed=packed.lengths)[0])
    assert loss.parts["branch_1"] > 0 and [loss.parts[f"branch_{index}"] for index in (2, 3, 4, 5)] == [0] * 4
    loss.value.backward()
    assert all(parameter.grad is not None for parameter in branches.parameters())


def test_training_on_packed_texts_equals_training_on_each_alone():
    branches = Branches(small(), depth=3)
    packed = batch(0, rows=3, length=7)
    alone = []
    for part in range(3):
        tokens = packed.ids.split(list(packed.lengths))[part].tolist()
        alone.append(_loss(branches, pack([[spans.text(tokens[:2], weight=0), spans.text(tokens[2:])]])))
    torch.testing.assert_close(_loss(branches, packed), torch.stack(alone).mean())


def _loss(branches, packed):
    inputs = branches.backbone.embed(packed.ids)
    hidden = branches.backbone(inputs[None], packed=packed.lengths)[0]
    return branches.training_loss(packed, inputs, hidden).value.detach()


def test_a_backbone_without_a_tail_is_told_in_a_sentence():
    class Bare(Backbone):
        dim = 8

    with pytest.raises(StentorError, match="Bare offers no copy of its last layer"):
        Branches(Bare())


def test_impossible_settings_are_all_named():
    with pytest.raises(StentorError) as caught:
        Branches(small(), depth=0, decay=0.0, confidence=2.0, vocabulary=-1)
    assert {problem.path for problem in caught.value.problems} == {
        "drafter.depth", "drafter.decay", "drafter.confidence", "drafter.vocabulary"
    }  # fmt: skip
