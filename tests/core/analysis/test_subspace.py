"""The subspace of an adapter: on adapters that are built so that the answer is known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

from stentor.analysis import hearing, spectrum
from stentor.analysis.speaker import train
from stentor.analysis.subspace import SubspaceSettings, analyse
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.settings import EvaluateSettings
from stentor.interfaces.task import Loss, Task
from stentor.model.adapters import Linear
from stentor.plugins import registry
from stentor.report import subspace_report

WORDS, VOICE, OUT = 4, 3, 24
"""Features of a frame: one for each word, then the voice; dimensions that the adapter writes to."""


class Frames(nn.Module):
    """Seven samples to a frame."""

    def forward(self, audio, lengths):
        return audio[:, : audio.shape[1] // 7 * 7].unflatten(1, (-1, 7)), lengths // 7


class Spelling(Task):
    """Writes a letter for each frame: the nearest of the vectors that stand for the words in the output space.

    The adapter is the identity on the word features, turned into OUT dimensions; the voice it does not pass on.
    """

    roles = {}
    sample_rate = 16000

    def __init__(self):
        super().__init__()
        self.encoder = Frames()
        self.adapter = Linear(7, OUT, stride=1)
        turned = torch.linalg.qr(torch.randn(OUT, OUT, generator=torch.Generator().manual_seed(1))).Q
        self.letters = turned[:, :WORDS].clone()

    def tuned(self):
        with torch.no_grad():
            self.adapter.project.weight.zero_()
            self.adapter.project.weight[:, :WORDS] = self.letters
            self.adapter.project.bias.zero_()
        return self.eval()

    @classmethod
    def assemble(cls, sections, *, texts=None, state=None, **configured):
        return cls()

    def cached_encoder(self):
        return self.encoder

    def training_loss(self, batch):
        return Loss(self.adapter(batch["frames"], batch["frame_lengths"])[0].mean(), 1)

    def predict(self, batch):
        outputs, lengths = self.adapter(batch["frames"], batch["frame_lengths"])
        best = (outputs @ self.letters).argmax(-1)
        return ["".join("abcd"[i] for i in row[:n]) for row, n in zip(best.tolist(), lengths.tolist(), strict=True)]


def utterances(folder, name, count, seed):
    random = np.random.default_rng(seed)
    voices = np.eye(VOICE)
    rows = []
    for number in range(count):
        spoken = random.integers(0, WORDS, 50)
        voice = number % VOICE
        frames = np.concatenate([np.eye(WORDS)[spoken] * 0.8, np.tile(voices[voice] * 0.5, (50, 1))], 1)
        path = folder / f"{name}{number}.wav"
        soundfile.write(path, frames.ravel(), 16000, subtype="FLOAT")
        text = "".join("abcd"[i] for i in spoken)
        rows.append(Utterance(path.stem, str(path), 350 / 16000, 16000, text=text, speaker=f"v{voice}", frames=350))
    return rows


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    table = registry()
    saved = table.snapshot()
    table.add("task", "toy-spelling", f"{__name__}:Spelling")
    recipe = SimpleNamespace(
        config={"task": {"name": "toy-spelling"}},
        settings=lambda name: EvaluateSettings(metrics=["cer"], normaliser="none", bootstrap=200),
    )
    settings = SubspaceSettings(keep=(1, 2, 3, 6, 12), free=6, strength=0.25)
    task = Spelling().tuned()
    before = {key: value.clone() for key, value in task.state_dict().items()}
    result = analyse(
        recipe, task, utterances(folder, "fit", 60, 0), {"new": utterances(folder, "new", 30, 1)}, settings
    )
    table.restore(saved)
    assert all(torch.equal(value, before[key]) for key, value in task.state_dict().items())
    return json.loads(json.dumps(result))


def test_the_rank_of_a_constructed_adapter_is_found(found):
    """Four orthonormal columns: four equal singular values; a frame holds one of four words, so three directions."""
    weights = found["weights"]["project.weight"]
    assert weights["trained"]["effective_rank"] == pytest.approx(4, abs=1e-4)
    assert weights["untrained"]["effective_rank"] > 6
    outputs = found["outputs"]["trained"]
    assert outputs["effective_rank"] == pytest.approx(3, abs=0.05) and outputs["needed"]["0.99"] == 3
    assert found["outputs"]["positions"] == 60 * 50


def test_the_strongest_directions_carry_all_words_and_random_ones_do_not(found):
    rows = {(one["k"], one["directions"]): one["value"] for one in found["sets"]["new"]["truncation"]}
    assert found["sets"]["new"]["full"]["value"] == 0
    assert rows[3, "strongest"] == rows[6, "strongest"] == rows[12, "strongest"] == 0
    assert rows[1, "strongest"] > 20
    random = [rows[k, f"random {seed}"] for k in (1, 2) for seed in (0, 1)]
    assert sum(random) / 4 > 25  # a single line through four points can separate them by luck


def test_a_speaker_vector_in_the_free_directions_is_read_and_harms_no_word(found):
    free = found["sets"]["new"]["free"]
    assert free["with"]["value"] == free["without"]["value"] == 0
    assert free["accuracy_with"] == 100
    assert free["chance"] == pytest.approx(100 / 3)
    assert free["accuracy_without"] <= free["chance"]


def test_the_report_says_it_and_draws_it(found, tmp_path):
    swaps = {"model.backbone.*": "runs/other"}
    told = "\n".join(subspace_report.summary({**found, "recipe": "toy", "run": "<run>", "swaps": swaps}))
    assert "'model.backbone.*' taken from the run runs/other" in told
    assert "effective rank 3.0" in told and "speakers named there: 100.0 %" in told
    page = subspace_report.write({**found, "recipe": "", "run": "<run>"}, tmp_path / "page.html").read_text()
    assert page.count("<svg") == 3 and "&lt;run&gt;" in page and "<run>" not in page


def test_a_spectrum_of_known_values():
    matrix = torch.diag(torch.tensor([4.0, 3.0, 0.0]))
    made = spectrum.of_matrix(matrix)
    assert made.values == pytest.approx((4, 3, 0))
    assert made.energy(1) == pytest.approx(16 / 25) and made.needed(0.9) == 2
    share = np.array([4, 3]) / 7
    assert made.effective_rank == pytest.approx(float(np.exp(-(share * np.log(share)).sum())))
    rows = torch.randn(500, 5) + 100
    assert spectrum.directions(rows).spectrum.values == pytest.approx(
        torch.linalg.svdvals((rows - rows.mean(0)).double()).tolist(), rel=1e-4
    )


def test_random_directions_are_orthonormal_and_repeatable():
    basis = spectrum.random_basis(24, 6, 3)
    assert torch.allclose(basis.mT @ basis, torch.eye(6), atol=1e-5)
    assert torch.equal(basis, spectrum.random_basis(24, 6, 3))
    assert not torch.equal(basis, spectrum.random_basis(24, 6, 4))


def test_voice_prints_do_not_hear_padding():
    frames = torch.randn(2, 9, 4)
    padded = torch.cat([frames, torch.full((2, 5, 4), 7.0)], 1)
    lengths = torch.tensor([9, 6])
    assert torch.allclose(hearing.voice_prints(frames, lengths), hearing.voice_prints(padded, lengths), atol=1e-6)


def test_the_speaker_part_learns_what_tells_speakers_apart_and_nothing_where_nothing_does():
    torch.manual_seed(0)
    names = [f"s{i % 4}" for i in range(200)]
    means = torch.randn(4, 10) * 3
    prints = torch.stack([means[i % 4] for i in range(200)]) + torch.randn(200, 10)
    part, noise = train(prints[:120], names[:120], 4), torch.randn(200, 10)
    with torch.no_grad():
        assert part.accuracy(part(prints[120:]), names[120:]) > 95
        deaf = train(noise[:120], names[:120], 4)
        assert deaf.accuracy(deaf(noise[120:]), names[120:]) < 50


def test_what_cannot_be_analysed_is_told(tmp_path):
    with pytest.raises(StentorError, match="no adapter"):
        hearing.adapter_of(nn.Linear(2, 2))
    two = nn.ModuleDict({"a": Linear(2, 2), "b": Linear(2, 2)})
    with pytest.raises(StentorError, match="name one"):
        hearing.adapter_of(two)
    assert hearing.adapter_of(two, "b")[1] is two["b"]


def test_rows_of_one_voice_skip_the_speaker_test(tmp_path):
    table = registry()
    saved = table.snapshot()
    table.add("task", "toy-spelling", f"{__name__}:Spelling")
    recipe = SimpleNamespace(
        config={"task": {"name": "toy-spelling"}},
        settings=lambda name: EvaluateSettings(metrics=["cer"], normaliser="none", bootstrap=100),
    )
    rows = [row for row in utterances(tmp_path, "one", 9, 2) if row.speaker == "v0"]
    try:
        result = analyse(recipe, Spelling().tuned(), rows, {"same": rows}, SubspaceSettings(keep=(3,)))
        with pytest.raises(StentorError, match="24 directions only"):
            analyse(recipe, Spelling().tuned(), rows, {"same": rows}, SubspaceSettings(keep=(25,)))
        with pytest.raises(StentorError, match="one at least must be free") as caught:
            analyse(recipe, Spelling().tuned(), rows, {"same": rows}, SubspaceSettings(keep=(3,), free=24))
        assert caught.value.path == "--free"
    finally:
        table.restore(saved)
    assert "two or more speakers" in result["sets"]["same"]["free"]["skipped"]
