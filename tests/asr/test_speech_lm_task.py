"""Task speech-lm: learns, predicts a batch as it predicts alone, restores from its state, times its tokens."""

import pytest
import torch

from stentor.errors import StentorError
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.model.lora_settings import LoraSettings
from stentor.plugins import registry
from stentor.train.assembly import assemble
from stentor.train.run import prepare
from stentor.train.settings import TrainSettings
from stentor.train.weights import digests
from stentor_asr.layout import prompt, transcript, vocabulary
from stentor_asr.speech_lm import SpeechLMTask

TEXTS = ["red lamp", "blue lamp on", "blue door", "red door open now"]
CONFIG = {
    "task": {"name": "speech-lm"},
    "encoder": {"name": "toy-hearing"},
    "adapter": {"name": "stack", "stride": 2, "hidden": 48, "dropout": 0.0},
    "backbone": {"name": "causal-lm", "dim": 48, "layers": 2, "heads": 2},
    "text": {"name": "bpe", "pieces": 40},
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
        whole = audio[:, : audio.shape[1] // 160 * 160]
        return whole.unflatten(1, (-1, 160))[..., :12], lengths // 160


@pytest.fixture(autouse=True)
def toy_encoder():
    table = registry()
    saved = table.snapshot()
    table.add("encoder", "toy-hearing", f"{__name__}:ToyHearing")
    yield
    table.restore(saved)


def batch_of(texts):
    """Frames that spell the text: one random pattern per character, two frames each."""
    patterns = torch.randn(128, 12, generator=torch.Generator().manual_seed(0))
    frames = [patterns[[ord(c) for c in text for _ in range(3)]] for text in texts]
    padded = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True)
    return {"frames": padded, "frame_lengths": torch.tensor([len(f) for f in frames]), "texts": texts}


@pytest.fixture(scope="module")
def trained():
    table = registry()
    saved = table.snapshot()
    table.add("encoder", "toy-hearing", f"{__name__}:ToyHearing")
    torch.manual_seed(0)
    task = assemble(CONFIG, texts=TEXTS)
    optimiser = torch.optim.AdamW(task.parameters(), lr=3e-3)
    for _ in range(80):
        loss = task.training_loss(batch_of(TEXTS))
        optimiser.zero_grad()
        loss.value.backward()
        optimiser.step()
    table.restore(saved)
    return task.eval()


def test_it_learns_to_write_what_it_hears(trained):
    assert trained.predict(batch_of(TEXTS)) == TEXTS


def test_a_batch_is_predicted_as_its_rows_alone(trained):
    alone = [trained.predict(batch_of([text]))[0] for text in TEXTS]
    assert trained.predict(batch_of(TEXTS)) == alone


def test_state_and_weights_restore_the_task(trained):
    again = assemble(CONFIG, state=trained.state())
    again.load_state_dict(trained.state_dict())
    assert again.eval().predict(batch_of(TEXTS)) == TEXTS


def test_tokens_are_timed_in_order_within_the_utterance(trained):
    batch = batch_of(TEXTS)
    for text, times, frames in zip(TEXTS, trained.align(batch, TEXTS), batch["frame_lengths"], strict=True):
        assert "".join(token for token, _, _ in times).replace(" ", "") == text.replace(" ", "")
        starts = [start for _, start, _ in times]
        assert starts == sorted(starts)
        assert all(0 <= start < end <= (frames + 1) / 100 for _, start, end in times)


def test_audio_and_cached_frames_give_the_same_loss(trained):
    audio = torch.randn(2, 1600, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([1600, 800])
    frames, frame_lengths = trained.encoder(audio, lengths)
    texts = TEXTS[:2]
    heard = trained.training_loss({"audio": audio, "audio_lengths": lengths, "texts": texts})
    cached = trained.training_loss({"frames": frames, "frame_lengths": frame_lengths, "texts": texts})
    torch.testing.assert_close(heard.value, cached.value)


def test_the_layout_pays_for_the_transcript_and_the_end_alone():
    words = vocabulary(10)
    spans = transcript(words, 5, [1, 2])
    assert [span.weight for span in spans] == [0, 0, 0, 1, 1]
    assert [span.kind for span in prompt(words, 5)] == ["control", "heard", "control"]


def test_a_stride_that_leaves_no_speech_is_found_without_building():
    sections = {role: CONFIG[role] for role in SpeechLMTask.roles if role in CONFIG}
    assert SpeechLMTask.check(sections) == []
    (problem,) = SpeechLMTask.check({**sections, "adapter": {"name": "stack", "stride": 500}})
    assert problem.path == "adapter.stride"


def test_a_typo_in_a_section_names_the_near_match():
    with pytest.raises(StentorError, match="'hidden'"):
        assemble({**CONFIG, "adapter": {"name": "stack", "hiden": 3}}, texts=TEXTS)


def test_lora_by_configuration_trains_its_own_matrices_and_leaves_the_backbone_bit_identical():
    pytest.importorskip("peft")
    settings = TrainSettings(lora=LoraSettings(rank=2, alpha=4))
    task = assemble(CONFIG, texts=TEXTS)
    inventory, _ = prepare(task, settings)
    backbone = {name for name, p in task.model.backbone.named_parameters() if p.requires_grad}
    assert backbone and all("lora_" in name for name in backbone)
    assert all(p.requires_grad for p in task.model.adapter.parameters())

    before = digests(task)
    optimiser = torch.optim.SGD([p for p in task.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        task.training_loss(batch_of(TEXTS)).value.backward()
        optimiser.step()
    changed = {name for name, digest in digests(task).items() if before[name] != digest}
    assert changed <= set(inventory.changing)
    assert any("lora_B" in name for name in changed)

    again = assemble(CONFIG, state=task.state())
    assert prepare(again, settings)[0] == inventory
    again.load_state_dict(task.state_dict())
    assert again.eval().predict(batch_of(TEXTS)) == task.eval().predict(batch_of(TEXTS))


def test_it_answers_as_a_policy(trained):
    batch = {**batch_of(TEXTS[:2]), "ids": ["a", "b"], "custom": [{"keywords": ["red"]}, {}]}
    prompts = trained.ask(batch)
    assert prompts.asked[0] == {"keywords": ["red"], "id": "a", "reference": TEXTS[0]}
    assert prompts.embeddings[0].requires_grad, "what is preferred can tune the adapter"
    made = trained.generate(prompts.embeddings, batch["frame_lengths"] // 2).tokens
    assert [one["text"] for one in trained.responses(prompts, [0, 1], made)] == trained.predict(batch) == TEXTS[:2]
    assert trained.tokens_of({"text": TEXTS[1]}) == made[1] == trained.tokens_of({"tokens": made[1]})
    assert all(bool(prompts.grammar.allowed(None)[row].all()) for row in made) and made[0][-1] in prompts.stop_ids
