"""Multi-token decoding in task speech-lm: stages A and B, what is frozen and what is shared, counts in the report."""

import json

import numpy as np
import pytest
import soundfile
import torch
from test_speech_lm_task import CONFIG, TEXTS, ToyHearing, batch_of

from stentor.config import compose
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.evaluate.runner import Subject, evaluate_set
from stentor.evaluate.settings import EvaluateSettings
from stentor.plugins import registry
from stentor.report.drafting import drafting
from stentor.train.assembly import assemble
from stentor.train.initialise import Parent, initialise
from stentor.train.run import prepare
from stentor.train.settings import TrainSettings
from stentor.train.weights import digests, tensors

STAGE_A = TrainSettings(freeze=["encoder.*", "model.*", "ctc.*"])
STAGE_B = TrainSettings(freeze=["encoder.*"])


class HearingWithWeights(ToyHearing):
    """The toy encoder with one weight, to be frozen."""

    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(1))

    def forward(self, audio, lengths):
        frames, lengths = super().forward(audio, lengths)
        return frames * self.gain, lengths


@pytest.fixture(autouse=True, scope="module")
def toy_encoder():
    table = registry()
    saved = table.snapshot()
    table.add("encoder", "toy-hearing", f"{__name__}:HearingWithWeights")
    yield
    table.restore(saved)


def with_drafter(name, **options):
    return {**CONFIG, "drafter": {"name": name, **options}}


def fit(task, steps, lr):
    """A few steps on the parameters that are not frozen; the names of the tensors that changed."""
    before = digests(task)
    task.train()
    optimiser = torch.optim.AdamW([value for value in task.parameters() if value.requires_grad], lr=lr)
    for _ in range(steps):
        optimiser.zero_grad()
        task.training_loss(batch_of(TEXTS)).value.backward()
        optimiser.step()
    task.eval()
    return {name for name, digest in digests(task).items() if digest != before[name]}


@pytest.fixture(scope="module")
def parent(toy_encoder):
    torch.manual_seed(0)
    task = assemble(CONFIG, texts=TEXTS)
    fit(task, 80, 3e-3)
    return task


def begun(config, parent, settings):
    """A task that begins with the weights of `parent`."""
    task = assemble(config, state=parent.state())
    prepare(task, settings)
    initialise(task, Parent("parent", 1, parent.state(), tensors(parent)))
    return task


@pytest.fixture(scope="module")
def staged(parent):
    """Branches after stage A, and what it changed."""
    task = begun(with_drafter("branches", depth=3), parent, STAGE_A)
    return task, fit(task, 60, 3e-3)


def test_branches_begin_as_the_parents_last_layer(parent):
    task = begun(with_drafter("branches", depth=2), parent, STAGE_A)
    last = parent.model.backbone.decoder.layers[-1].state_dict()
    for branch in task.drafter.branches:
        for name, value in branch.tail.decoder.layers[0].state_dict().items():
            assert torch.equal(value, last[name]), name


def test_stage_a_changes_the_branches_alone_and_no_transcript(staged, parent):
    task, changed = staged
    assert changed and all(name.startswith("drafter.") for name in changed)
    before, after = digests(parent), digests(task)
    assert all(after[name] == digest for name, digest in before.items())
    assert task.predict(batch_of(TEXTS)) == parent.predict(batch_of(TEXTS)) == TEXTS


def test_stage_b_changes_adapter_backbone_and_branches_and_never_the_encoder(staged):
    task = begun(with_drafter("branches", depth=3), staged[0], STAGE_B)
    changed = fit(task, 3, 1e-3)
    assert {name.split(".")[0] for name in changed} == {"model", "drafter", "ctc"}
    assert any(name.startswith("model.adapter.") for name in changed)
    assert any(name.startswith("model.backbone.decoder.layers.0.") for name in changed)
    assert "encoder.gain" in digests(task)


def test_a_draft_vocabulary_is_taken_up_later_without_losing_the_branches(staged):
    """The parent counted nothing; what it lacks is the counts alone, and its trained branches stay."""
    task, _ = staged
    later = begun(with_drafter("branches", depth=3, vocabulary=4), task, STAGE_B)
    kept = tensors(task.drafter)
    assert all(torch.equal(tensors(later.drafter)[name], tensor) for name, tensor in kept.items())
    assert set(tensors(later.drafter)) - set(kept) == {"counts"}


def test_embeddings_and_head_are_the_same_tensors(staged):
    task, _ = staged
    assert task.drafter.backbone is task.model.backbone
    table = task.model.backbone.decoder.embed_tokens.weight
    assert task.drafter.backbone.projection is table
    assert not any(value is table for value in task.drafter.parameters())


def test_predictions_are_counted_until_asked_for(staged):
    task, _ = staged
    task.statistics()
    assert task.predict(batch_of(TEXTS)) == [task.predict(batch_of([text]))[0] for text in TEXTS]
    told = task.statistics()["decoding"]
    assert told["rows"] == 2 * len(TEXTS) and told["forwards"] < told["tokens"]
    assert task.statistics() is None
    assert json.loads(json.dumps(told)) == told


def test_a_task_without_a_drafter_counts_nothing(parent):
    parent.predict(batch_of(TEXTS))
    assert parent.drafter is None and parent.statistics() is None
    assert not any(name.startswith("drafter") for name in parent.state_dict())


@pytest.mark.parametrize("name", ["ngram", "model"])
def test_other_drafters_learn_beside_the_model_and_change_no_transcript(name, parent):
    options = {"model": {"name": "causal-lm", "dim": 32, "layers": 1, "heads": 2}} if name == "model" else {}
    task = begun(with_drafter(name, **options), parent, STAGE_B)
    fit(task, 50, 3e-3)
    assert task.predict(batch_of(TEXTS)) == TEXTS
    assert task.statistics()["decoding"]["forwards_per_token"] < 0.9
    again = assemble(with_drafter(name, **options), state=task.state())
    again.load_state_dict(task.state_dict())
    again.eval().predict(batch_of(TEXTS))
    task.predict(batch_of(TEXTS))
    assert again.statistics() == task.statistics()


def test_evaluation_writes_the_counts_of_each_set_and_the_report_shows_them(staged, tmp_path):
    utterances = []
    for number, text in enumerate(TEXTS[:2]):
        samples = 16000 + 800 * number
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, samples), 16000)
        utterances.append(Utterance(f"u{number}", str(path), samples / 16000, 16000, text=text, frames=samples))
    manifest.save(tmp_path / "set.jsonl.gz", utterances)
    task, _ = staged
    subject = Subject(task, tmp_path, "asr/mtp-branches")
    first = evaluate_set(subject, "set", str(tmp_path / "set.jsonl.gz"), EvaluateSettings())
    assert first["statistics"]["decoding"]["rows"] == 2
    again = evaluate_set(subject, "set", str(tmp_path / "set.jsonl.gz"), EvaluateSettings())
    assert again["statistics"] == first["statistics"]
    shown = drafting([first])
    assert [one["set"] for one in shown["sets"]] == ["set"] and list(shown["positions"])[-1] <= 3
    assert drafting([{**first, "statistics": None}]) is None


@pytest.mark.parametrize("recipe", ["asr/mtp-branches", "asr/mtp-joint", "asr/mtp-joint-gpu"])
def test_the_recipes_are_sound(recipe):
    composed = compose(recipe)
    assert composed.config["drafter"]["name"] == "branches" and not composed.misfits()
    assert composed.settings("train").freeze
