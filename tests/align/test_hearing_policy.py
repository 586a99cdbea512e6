"""A policy that hears: rewards on transcripts tune a recogniser, its adapter included, from cached frames."""

import pytest
import torch

from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.plugins import registry
from stentor.train import made, weights
from stentor.train.assembly import assemble
from stentor_align import rollout, runs
from stentor_align.rollout import SamplingSettings
from stentor_align.tasks import experience
from stentor_align.workers.sampling import SamplingProcess
from stentor_align.workers.settings import WorkerSettings

pytest.importorskip("stentor_asr")
TEXTS = ["red lamp", "blue lamp", "blue door"]
CONFIG = {
    "name": "hearing",
    "task": {"name": "speech-lm", "ctc_weight": 0.0},
    "encoder": {"name": "toy-hearing"},
    "adapter": {"name": "stack", "stride": 2, "hidden": 48},
    "backbone": {"name": "causal-lm", "dim": 48, "layers": 2, "heads": 2, "dropout": 0.1},
    "text": {"name": "characters"},
}


class ToyHearing(Encoder):
    """Frames of 160 samples, each with its first 12 samples as features."""

    dim, frame_rate, sample_rate = 12, 100.0, 16000

    @classmethod
    def spec(cls, **configured):
        return EncoderSpec(12, 100.0, 16000)

    def frames(self, samples):
        return samples // 160

    def forward(self, audio, lengths):
        return audio[:, : audio.shape[1] // 160 * 160].unflatten(1, (-1, 160))[..., :12], lengths // 160


@pytest.fixture(autouse=True, scope="module")
def toy_encoder():
    table = registry()
    saved = table.snapshot()
    table.add("encoder", "toy-hearing", f"{__name__}:ToyHearing")
    yield
    table.restore(saved)


def batch():
    """Frames that spell the texts: one random pattern per character, three frames each."""
    patterns = torch.randn(128, 12, generator=torch.Generator().manual_seed(0))
    frames = [patterns[[ord(c) for c in text for _ in range(3)]] for text in TEXTS]
    padded = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    rows = {"ids": ["a", "b", "c"], "texts": TEXTS, "speakers": [""] * 3, "custom": [{}] * 3, "seconds": 1.0}
    return {**rows, "frames": padded, "frame_lengths": torch.tensor([len(f) for f in frames])}


@pytest.fixture(scope="module")
def parent(tmp_path_factory, toy_encoder):
    """A recogniser that has learnt a little."""
    torch.manual_seed(0)
    task = assemble(CONFIG, texts=TEXTS)
    optimiser = torch.optim.AdamW(task.parameters(), lr=4e-3)
    for _ in range(25):
        optimiser.zero_grad()
        task.training_loss(batch()).value.backward()
        optimiser.step()
    folder = tmp_path_factory.mktemp("hearing") / "run"
    made.write(folder, CONFIG, task.state(), weights.tensors(task), {"run": "none"})
    return str(folder)


def test_log_probs_recomputed_are_those_seen_while_sampling(parent):
    task = tuned(parent, "grpo")
    prompts = task.policy.ask(batch())
    made = rollout.sample(task.policy, prompts, SamplingSettings(), samples=3, seed=1)
    found, _ = rollout.rescore(task.policy, prompts, made, SamplingSettings())
    torch.testing.assert_close(found.log_probs.detach(), torch.cat(made.log_probs), atol=1e-5, rtol=0)


def tuned(parent, name, **options):
    torch.manual_seed(1)
    task = assemble({"task": {"name": name, "run": parent, **options}}, texts=[])
    task.load_pretrained()
    return task.train()


def test_grpo_with_an_error_rate_as_reward_makes_a_better_recogniser(parent):
    task = tuned(parent, "grpo", samples=8, reward={"name": "cer"}, sampling={"longest": 14})
    begun = {name: one.detach().clone() for name, one in task.policy.named_parameters()}
    optimiser = torch.optim.AdamW(task.parameters(), lr=2e-3)
    rewards = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = task.training_loss(batch())
        loss.value.backward()
        optimiser.step()
        rewards.append(loss.parts["reward"])
    assert sum(rewards[-5:]) > sum(rewards[:5]) + 0.25, rewards
    assert "reward/rate" in loss.parts and "reward/substituted" in loss.parts
    moved = [name for name, one in task.policy.named_parameters() if not torch.equal(one, begun[name])]
    assert any("adapter" in name for name in moved) and any("backbone" in name for name in moved)


def test_dpo_on_transcripts(parent):
    task, found = tuned(parent, "dpo", beta=0.3), batch()
    found["custom"] = [{"chosen": text, "rejected": text[::-1]} for text in TEXTS]
    optimiser = torch.optim.AdamW(task.parameters(), lr=1e-3)
    losses = []
    for _ in range(6):
        optimiser.zero_grad()
        loss = task.training_loss(found)
        loss.value.backward()
        optimiser.step()
        losses.append(float(loss.value.detach()))
    assert losses[0] == pytest.approx(0.6931, abs=1e-3) and losses[-1] < 0.6 * losses[0]


def test_a_tuning_task_takes_the_frames_that_its_policy_has_cached(parent):
    assert tuned(parent, "grpo").encoder_sections({}) == {"encoder": {"name": "toy-hearing"}}


def test_a_reward_is_given_the_row_that_was_heard(parent):
    from stentor_align import rows

    one = rows.split(batch())[1]
    assert one["frames"].shape == (1, 3 * len(TEXTS[1]), 12) and one["texts"] == TEXTS[1:2]
    assert torch.equal(rows.joined(rows.split(batch()))["frames"], batch()["frames"])


def test_it_samples_in_a_process_of_its_own_too(parent):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    policy = runs.trained(str(parent))[0].eval()
    sampler = SamplingProcess(policy, WorkerSettings(rollout=True))
    sampler.begin(batch(), SamplingSettings(), samples=2, seed=4)
    found, own = sampler.finish(), experience.said(policy, batch(), SamplingSettings(), samples=2, seed=4)
    assert found.rollout.tokens == own.rollout.tokens and found.responses == own.responses
    assert all(torch.equal(one["row"]["frames"], other["row"]["frames"])
               for one, other in zip(found.asked, own.asked, strict=True))  # fmt: skip
    sampler.close()
    torch.set_num_threads(before)
