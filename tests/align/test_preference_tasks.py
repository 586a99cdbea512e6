"""Tasks that learn from pairs: whole runs, references, masks, rows that cannot be used."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import tiny
import torch

from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.sequence.grammar import interleave
from stentor.train import fit, load
from stentor.train.assembly import assemble
from stentor.train.weights import digests
from stentor_align import logprobs
from stentor_align.losses import preference
from stentor_align.preferences.batches import of_batch

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH = {**tiny.batch("abc", "fed", "cab")}
PAIRS = [{"chosen": "abc", "rejected": "cba"}, {"ranked": ["fed", "fe", "f"]}, {}]


def batch(customs=PAIRS):
    found = tiny.batch(*["abc", "fed", "cab"][: len(customs)])
    rows = [{**row, **custom} for row, custom in zip(found["custom"], customs, strict=True)]
    return {**found, "custom": rows}


def utterances(customs):
    """The same rows as a training set."""
    found = batch(customs)
    return [Utterance(f"train-{row}", "", 1.0, 0, custom=custom) for row, custom in enumerate(found["custom"])]


def tuned(parent, name="dpo", **options):
    task = assemble({"task": {"name": name, "run": str(parent), **options}}, texts=[])
    task.load_pretrained()
    return task.train()


@pytest.mark.parametrize("name", ["dpo", "reward-model"])
def test_a_run_prefers_what_it_was_shown_and_loads_again(parent, tmp_path, name):
    train = tiny.manifest(tmp_path, tiny.preferred())
    assert fit(tiny.recipe({"name": name, "run": str(parent)}, train, steps=30), tmp_path / "run", progress=False)
    told = tiny.lines(tmp_path / "run")
    assert told[-1]["accuracy"] == 1 and told[-1]["loss"] < 0.5 * told[0]["loss"]
    recipe, task = load(tmp_path / "run")
    assert recipe.task == name and not task.training
    before, after = digests(load(parent)[1]), digests(task.policy)
    assert before.keys() == after.keys() and before != after
    provenance = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert provenance["components"]["task"]["name"] == str(parent)
    if name == "dpo":
        assert digests(task.reference) == before
    assert task.predict(batch())


def test_dpo_is_the_loss_of_its_own_pieces(parent):
    task, found = tuned(parent, beta=0.4), batch()
    with torch.no_grad():
        for parameter in task.policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    pairs = of_batch(found, task.policy)
    assert len(pairs) == 4 and pairs.owners == [0, 1, 1, 1] * 2 and len(pairs.dropped) == 1
    assert "no two responses" in pairs.dropped[0]
    ratios = []
    for policy in (task.policy, task.reference):
        for row, tokens in zip(pairs.owners, pairs.tokens, strict=True):
            read = logprobs.read(policy.backbone, [policy.ask(found).embeddings[row]], [tokens])
            ratios.append(logprobs.score(policy.backbone, read).log_probs.sum())
    ours, theirs = torch.stack(ratios).chunk(2)
    expected = preference.dpo(*(ours - theirs).chunk(2), beta=0.4).mean()
    torch.testing.assert_close(task.training_loss(found).value, expected, atol=1e-5, rtol=0)


def test_before_the_first_step_there_is_no_margin(parent):
    for loss in ("sigmoid", "ipo"):
        parts = tuned(parent, loss=loss, beta=0.5).training_loss(batch()).parts
        assert abs(parts["margin"]) < 1e-5
    found = tuned(parent, smoothing=0.2).training_loss(batch())
    assert float(found.value.detach()) == pytest.approx(0.6931, abs=1e-3) and found.units == 4


def test_simpo_keeps_no_reference_and_imitation_is_added(parent):
    plain, added = tuned(parent, loss="simpo"), tuned(parent, loss="simpo", imitation=0.5)
    assert plain.reference is None
    one, other = plain.training_loss(batch()), added.training_loss(batch())
    assert float(other.value - one.value) == pytest.approx(0.5 * one.parts["chosen_nll"], rel=1e-4)


def test_a_block_that_bears_no_loss_gets_none(parent):
    """With the text left out, only the end is learnt: responses of equal length then differ in nothing."""
    whole, masked = tuned(parent), tuned(parent, left_out=["text"])
    ends = [{"chosen": {"tokens": [1, 2, whole.policy.vocabulary.control("end")]}, "rejected": {"tokens": [3, 4]}}]
    for task, spoken in ((whole, True), (masked, False)):
        task.training_loss(batch(ends)).value.backward()
        table = task.policy.backbone.decoder.embed_tokens.weight.grad
        assert bool(table[3:5].any()), "a response is read, whatever bears the loss"
        scored = task._scored(task.policy, task.policy.ask(batch(ends)), of_batch(batch(ends), task.policy))
        assert scored.counts.tolist() == [spoken, spoken, True, spoken, spoken]
    with pytest.raises(StentorError, match="no such block"):
        tuned(parent, left_out=["audio"])


@pytest.mark.parametrize("name", ["dpo", "reward-model"])
def test_rows_that_cannot_be_used_are_left_out_and_counted(parent, name):
    task = tuned(parent, name)
    odd = [
        {"chosen": "abc"},
        {"chosen": {"tokens": [999]}, "rejected": "b"},
        {"ranked": [{"text": "a", "score": "high"}]},
    ]
    loss = task.training_loss(batch(odd))
    assert loss.parts["dropped"] == 3 and float(loss.value.detach()) == 0
    loss.value.backward()
    trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in trained)


@pytest.mark.parametrize("name", ["dpo", "reward-model"])
def test_two_responses_of_the_same_tokens_are_no_pair(parent, name):
    task = tuned(parent, name)
    same = {"chosen": "abc", "rejected": {"tokens": task.policy.tokens_of({"text": "abc"})}}
    twice = {"ranked": ["fed", "fe", {"text": "fed"}]}
    found = of_batch(batch([same, twice]), task.policy)
    assert found.owners == [1, 1] * 2 and [told.partition(":")[0] for told in found.dropped] == ["row-0", "row-1"]
    assert all("same tokens" in told for told in found.dropped)
    loss = task.training_loss(batch([same, twice]))
    assert loss.parts["dropped"] == 2 and loss.units == 2


@pytest.mark.parametrize("name", ["dpo", "reward-model"])
def test_a_set_without_a_pair_is_refused_before_there_is_a_run(parent, tmp_path, name):
    same = {"chosen": "abc", "rejected": "abc"}
    scored = {"chosen": {"text": "abc", "score": 1}, "rejected": {"text": "c", "score": 2}}
    rows = {"same": [same, {}], "none": [{}], "close": [scored, same]}
    reasons = {"same": "the same tokens", "none": "no two responses", "close": "apart by more than 0 the right way"}
    for number, (fault, customs) in enumerate(rows.items()):
        train = tiny.manifest(tmp_path, [("abc", custom) for custom in customs], f"set{number}")
        told = rf"data\.train: none of its {len(customs)} rows .* was dropped: set{number}-0: .*{reasons[fault]}"
        with pytest.raises(StentorError, match=told):
            fit(tiny.recipe({"name": name, "run": str(parent)}, train), tmp_path / fault, progress=False)
        assert not (tmp_path / fault).exists()
    train = tiny.manifest(tmp_path, [("abc", same), ("fed", {"chosen": "fed", "rejected": "f"})], "enough")
    assert fit(tiny.recipe({"name": name, "run": str(parent)}, train, steps=2), tmp_path / "run", progress=False)


def test_what_a_grammar_forbids_is_no_pair(parent):
    """Prompts that need no audio are looked at too."""
    task = tuned(parent)
    assert not task.policy.hears
    grammar = interleave(9, [(range(3), 1), (range(3, 6), 2)], end=7, pad=8)
    ask = task.policy.ask
    task.policy.ask = lambda batch: replace(ask(batch), grammar=grammar)
    legal, illegal = ({"tokens": tokens} for tokens in ([0, 3, 3, 7], [3, 0, 7]))
    task.acquaint(utterances([{"chosen": legal, "rejected": {"tokens": [7]}}]))
    with pytest.raises(StentorError, match="grammar forbids"):
        task.acquaint(utterances([{"chosen": legal, "rejected": illegal}]))


def test_beta_is_what_is_usual_with_each_loss(parent):
    assert [tuned(parent, loss=loss).beta for loss in ("sigmoid", "ipo", "simpo")] == [0.1, 0.1, 2.0]
    plain, told = tuned(parent, loss="simpo"), tuned(parent, loss="simpo", beta=2.0, target=1.0)
    assert plain.training_loss(batch()).value == told.training_loss(batch()).value
    assert tuned(parent, loss="simpo", beta=0.1).beta == 0.1


def test_options_that_a_loss_does_not_know_are_refused(parent):
    for loss in ("ipo", "simpo"):
        with pytest.raises(StentorError, match=rf"task\.smoothing: only loss 'sigmoid' knows it, not '{loss}'"):
            tuned(parent, loss=loss, smoothing=0.1)
    for loss in ("ipo", "sigmoid"):
        with pytest.raises(StentorError, match=rf"task\.target: only loss 'simpo' knows it, not '{loss}'"):
            tuned(parent, loss=loss, target=0.5)
    for reference in ("adapters-off", "manifest"):
        with pytest.raises(StentorError, match=r"task\.reference_run: .*frozen"):
            tuned(parent, reference=reference, reference_run=str(parent))


def test_log_probs_of_the_manifest_stand_for_the_reference(parent):
    frozen, written = tuned(parent, beta=0.3), tuned(parent, beta=0.3, reference="manifest")
    assert written.reference is None
    with torch.no_grad():
        for task in (frozen, written):
            torch.manual_seed(1)
            for parameter in task.policy.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        pairs = of_batch(batch(PAIRS[:1]), frozen.policy)
        scored = frozen._scored(frozen.reference, frozen.reference.ask(batch(PAIRS[:1])), pairs)
    values = [row.tolist() for row in scored.log_probs.split(list(scored.lengths))]
    said = [{"text": text, "log_probs": row, "reference": written.told["sha256"]}
            for text, row in zip(("abc", "cba"), values, strict=True)]  # fmt: skip
    custom = [{"chosen": said[0], "rejected": said[1]}]
    one, other = (task.training_loss(batch(custom)).value for task in (frozen, written))
    torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    for fault, told in (({"reference": "other"}, "another reference"), ({"log_probs": [1.0]}, "no log_probs")):
        faulty = {"chosen": said[0] | fault, "rejected": said[1]}
        loss = written.training_loss(batch([*custom, faulty]))
        assert loss.parts["dropped"] == 1 and loss.units == 1
        torch.testing.assert_close(loss.value, other, atol=1e-5, rtol=0)
        with pytest.raises(StentorError, match=f"none of its 2 rows .* dropped: train-0: .*{told}"):
            written.acquaint(utterances([faulty, faulty]))
        written.acquaint(utterances([faulty, *custom]))


def test_a_reference_with_another_vocabulary_is_refused(parent, tmp_path):
    torch.manual_seed(0)
    other = tiny.kept(tmp_path / "other", assemble(tiny.CONFIG, texts=["xyz0123"]))
    with pytest.raises(StentorError, match="another vocabulary"):
        tuned(parent, reference_run=str(other))
    same = tiny.kept(tmp_path / "same", tiny.policy(seed=9))
    task = tuned(parent, reference_run=str(same))
    assert digests(task.reference) == digests(load(same)[1]) != digests(task.policy)


def test_adapters_train_alone_and_off_are_the_reference(parent, tmp_path):
    pytest.importorskip("peft")
    train = tiny.manifest(tmp_path, tiny.preferred())
    task = {"name": "dpo", "run": str(parent), "reference": "adapters-off"}
    fit(tiny.recipe(task, train, steps=20, lr=1e-2, lora={"rank": 4}), tmp_path / "run", progress=False)
    told = tiny.lines(tmp_path / "run")
    assert abs(told[0]["margin"]) < 1e-5 and told[-1]["accuracy"] == 1
    _, found = load(tmp_path / "run")
    assert all("lora_" in name for name, one in found.named_parameters() if one.requires_grad)


def test_a_frozen_reference_gets_no_adapters(parent, tmp_path):
    pytest.importorskip("peft")
    train = tiny.manifest(tmp_path, tiny.preferred())
    fit(
        tiny.recipe({"name": "dpo", "run": str(parent)}, train, steps=2, lora={"rank": 2}),
        tmp_path / "run",
        progress=False,
    )
    _, found = load(tmp_path / "run")
    assert digests(found.reference) == digests(load(parent)[1])


def test_a_second_stage_goes_on_from_the_first_and_keeps_its_reference(parent, tmp_path):
    train = tiny.manifest(tmp_path, tiny.preferred())
    task = {"name": "dpo", "run": str(parent)}
    fit(tiny.recipe(task, train), tmp_path / "one", progress=False)
    fit(tiny.recipe(task, train, initialise=str(tmp_path / "one"), keep=9), tmp_path / "two", progress=False)
    first, second = load(tmp_path / "one")[1], load(tmp_path / "two", step=0)[1]
    assert digests(first.policy) == digests(second.policy)
    assert digests(second.reference) == digests(load(parent)[1])
    tuning = {"name": "reward-model", "run": str(tmp_path / "one")}
    fit(tiny.recipe(tuning, train, steps=2, keep=9), tmp_path / "model", progress=False)
    assert digests(load(tmp_path / "model", step=0)[1].policy) == digests(first.policy)
    with pytest.raises(StentorError, match=r"task\.run"):
        fit(tiny.recipe(task, train, initialise=str(parent)), tmp_path / "wrong", progress=False)


def test_what_cannot_be_tuned_is_refused(parent, tmp_path):
    with pytest.raises(StentorError, match="must name the run"):
        assemble({"task": {"name": "dpo"}}, texts=[])
    with pytest.raises(StentorError, match="smoothing"):
        tuned(parent, smoothing=0.7)
    with pytest.raises(StentorError, match="holds no run"):
        tuned(tmp_path)


ON_THE_PATH = """
import sys
import torch
from stentor.train.assembly import assemble
task = assemble({"task": {"name": "reward-model", "run": sys.argv[1]}}, texts=[])
task.load_pretrained()
row = {"instruction": "say", "given": "abc", "chosen": "abc", "rejected": "cba"}
task.training_loss({"ids": ["a"], "texts": ["abc"], "custom": [row]}).value.backward()
print([name for name in sys.modules if "vocoder" in name or name.startswith(("stentor_tts", "stentor_asr"))])
"""


def test_a_reward_model_imports_no_vocoder(parent):
    done = subprocess.run([sys.executable, "-c", ON_THE_PATH, str(parent)], capture_output=True, text=True, check=False)
    hooks = ["stentor_tts", "stentor_tts.hooks", "stentor_asr", "stentor_asr.hooks"]
    assert done.returncode == 0, done.stderr
    assert not set(json.loads(done.stdout.strip().replace("'", '"'))) - set(hooks)
