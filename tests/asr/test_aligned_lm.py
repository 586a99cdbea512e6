"""One-layer alignment: what is frozen stays so, one layer learns to speak to a language model, siblings are swapped."""

import json

import pytest
import soundfile
import torch

from stentor.cli import main
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.plugins import registry
from stentor.train import load
from stentor.train.weights import digests

LM = """
defaults: [{task: text-lm}, {backbone: causal-lm}, {tokenizer@text: characters}, _self_]
task: {repeats: 2, gaps: 0.0, swaps: 0.0, blur: 0.3}
backbone: {dim: 32, layers: 2, heads: 2}
data: {train: TRAIN, batch_seconds: 200}
train: {steps: 250, lr: 5.0e-3, tracking: []}
seed: 1
"""
ALIGNED = """
defaults:
  [{task: aligned-lm}, {encoder: letters}, {adapter: linear}, {backbone: causal-lm},
   {tokenizer@text: characters}, _self_]
adapter: {stride: 2}
backbone: {dim: 32, layers: 2, heads: 2}
data: {train: TRAIN, batch_seconds: 20}
train: {steps: 150, lr: 1.0e-2, weight_decay: 0.0, tracking: [], initialise: PARENT}
evaluate: {sets: {seen: TRAIN}, metrics: [cer, response-errors], normaliser: basic, bootstrap: 100}
seed: 1
"""
WORDS = ["ab", "ba", "cab", "abc", "bca", "cc", "bab", "acb"]


class Letters(Encoder):
    """100 frames a second; each says in 8 features what letter is heard, and has weights that must not change."""

    dim, frame_rate, sample_rate = 8, 100.0, 16000

    def __init__(self):
        super().__init__()
        self.mix = torch.nn.Linear(8, 8)

    @classmethod
    def spec(cls, **configured):
        return EncoderSpec(8, 100.0, 16000)

    def frames(self, samples):
        return samples // 160

    def forward(self, audio, lengths):
        whole = audio[:, : audio.shape[1] // 160 * 160]
        return self.mix(whole.unflatten(1, (-1, 160))[..., :8] * 4), lengths // 160


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A language model, a sibling tuned further, a stranger, and an alignment for the first."""
    place = tmp_path_factory.mktemp("runs")
    table = registry()
    saved = table.snapshot()
    table.add("encoder", "letters", f"{__name__}:Letters")
    rows = [
        (f"{task}{i}", task, word, word if task == "say" else word[-1])
        for i, word in enumerate(WORDS)
        for task in ("say", "end")
    ]
    text = [
        Utterance(n, "", 1.0, 0, text=said, custom={"instruction": task, "given": word}) for n, task, word, said in rows
    ]
    manifest.save(place / "text.jsonl", text)
    manifest.save(place / "speech.jsonl", [spoken(place, *row) for row in rows])
    (place / "lm.yaml").write_text(LM.replace("TRAIN", str(place / "text.jsonl")))
    recipe = ALIGNED.replace("TRAIN", str(place / "speech.jsonl")).replace("PARENT", str(place / "lm"))
    (place / "aligned.yaml").write_text(recipe)
    train = ["train", str(place / "lm.yaml")]
    assert main([*train, "--run", str(place / "lm")]) == 0
    begun = [f"train.initialise={place / 'lm'}"]
    assert main([*train, *begun, "train.steps=5", "train.lr=1e-4", "--run", str(place / "sibling")]) == 0
    assert (
        main([*train, *begun, "task.tokenizer_only=true", "train.steps=5", "seed=2", "--run", str(place / "stranger")])
        == 0
    )
    assert main(["train", str(place / "aligned.yaml"), "--run", str(place / "run")]) == 0
    yield place
    table.restore(saved)


def spoken(place, name, task, word, said):
    """Four frames for every letter, which has its own feature, in a file of its own."""
    frames = torch.zeros(4 * len(word), 160)
    for number, letter in enumerate(word):
        frames[4 * number : 4 * number + 4, "abc".index(letter)] = 0.5
    path = place / f"{name}.wav"
    soundfile.write(path, frames.flatten().numpy(), 16000, subtype="FLOAT")
    custom = {"instruction": task}
    return Utterance(
        name,
        str(path),
        frames.numel() / 16000,
        16000,
        text=said,
        speaker=f"s{len(word) % 2}",
        frames=frames.numel(),
        custom=custom,
    )


def errors(place, metric="response-errors"):
    return json.loads((place / "evaluation" / "seen.json").read_text())["metrics"][metric]["value"]


def test_exactly_one_layer_is_trained_and_nothing_else_changes(runs):
    task = load(runs / "run")[1]
    trained = {name: value.numel() for name, value in task.named_parameters() if value.requires_grad}
    assert set(trained) == {"model.adapter.project.weight", "model.adapter.project.bias"}
    assert sum(trained.values()) == 8 * 2 * 32 + 32
    before, after = digests(load(runs / "run", step=0)[1]), digests(task)
    assert {name for name in after if after[name] != before[name]} == set(trained)
    model = digests(load(runs / "lm")[1])
    assert all(after[name] == digest for name, digest in model.items())
    assert any(name.startswith("encoder.") for name in after)


def test_one_layer_makes_the_frozen_model_hear_and_follow_instructions(runs, tmp_path):
    assert main(["evaluate", str(runs / "run"), "--output", str(tmp_path)]) == 0
    assert errors(tmp_path) <= 15
    task = load(runs / "run")[1]
    rows = manifest.load(runs / "speech.jsonl")
    deaf = {"texts": [row.text for row in rows], "custom": [dict(row.custom) for row in rows],
            "frames": torch.zeros(len(rows), 8, 8), "frame_lengths": torch.full((len(rows),), 8)}  # fmt: skip
    right = sum(said == row.text for said, row in zip(task.predict(deaf), rows, strict=True))
    assert right <= len(rows) / 2


def test_a_sibling_understands_the_alignment_and_a_stranger_does_not(runs, tmp_path):
    for name in ("sibling", "stranger"):
        words = ["evaluate", str(runs / "run"), "--output", str(tmp_path / name)]
        assert main([*words, "--swap", f"model.backbone.*={runs / name}"]) == 0
        told = json.loads((tmp_path / name / "evaluation" / "seen.json").read_text())
        assert told["swaps"] == {"model.backbone.*": str(runs / name)}
    assert main(["evaluate", str(runs / "run"), "--output", str(tmp_path / "own")]) == 0
    assert errors(tmp_path / "sibling") <= errors(tmp_path / "own") + 15
    assert errors(tmp_path / "stranger") >= 80


def test_what_cannot_be_swapped_is_told(runs, tmp_path, capsys):
    with pytest.raises(StentorError, match="matches no tensor"):
        load(runs / "run", swaps={"nothing.*": runs / "lm"})
    with pytest.raises(StentorError, match="has no tensor 'encoder"):
        load(runs / "run", swaps={"encoder.*": runs / "lm"})
    assert main(["evaluate", str(runs / "run"), "--swap", "model.backbone.*"]) == 2
    assert "GLOB=RUN" in capsys.readouterr().err
    deeper = ["train", str(runs / "lm.yaml"), "backbone.layers=3", "train.steps=1", "--run", str(tmp_path / "deeper")]
    assert main(deeper) == 0
    with pytest.raises(StentorError, match=r"has a tensor 'model\.backbone\..*no place"):
        load(runs / "run", swaps={"model.backbone.*": tmp_path / "deeper"})
    text = manifest.load(runs / "text.jsonl")
    manifest.save(tmp_path / "t.jsonl", [Utterance("x", "", 1.0, 0, text="xyz"), *text[:2]])
    words = [f"data.train={tmp_path / 't.jsonl'}", "train.steps=1", "--run", str(tmp_path / "other")]
    assert main(["train", str(runs / "lm.yaml"), *words]) == 0
    with pytest.raises(StentorError, match="another tokenizer"):
        load(runs / "run", swaps={"model.backbone.*": tmp_path / "other"})


def test_the_subspace_of_a_run_is_reported_by_the_verb(runs, tmp_path, capsys):
    words = ["subspace", str(runs / "run"), "--keep", "2,8", "--random", "1", "-o", str(tmp_path)]
    assert main(words) == 0
    found = json.loads((tmp_path / "subspace.json").read_text())
    assert found["adapter"]["parameters"] == 8 * 2 * 32 + 32 and found["adapter"]["dim"] == 32
    assert {(one["k"], one["directions"]) for one in found["sets"]["seen"]["truncation"]} == {
        (2, "strongest"), (2, "random 0"), (8, "strongest"), (8, "random 0"),
    }  # fmt: skip
    assert found["sets"]["seen"]["free"]["speakers"] == 2
    assert "effective rank" in capsys.readouterr().out and "<svg" in (tmp_path / "subspace.html").read_text()
    assert main([*words[:2], "--keep", "0"]) == 2 and main([*words[:2], "--keep", "x"]) == 2
    assert main(["subspace", str(runs / "lm"), f"seen={runs / 'text.jsonl'}"]) == 2
    assert "no adapter" in capsys.readouterr().err


@pytest.mark.parametrize(
    "recipe", ["lm-base", "lm-chat", "lm-unrelated", "one-layer", "one-layer-real", "one-layer-gpu"]
)
def test_the_recipes_are_sound(recipe, capsys):
    assert main(["validate", f"asr/{recipe}"]) == 0
