"""Components that break their contracts, each in one way; and a sound one of each kind to start from."""

import random

import numpy as np
import torch
from torch import nn

from stentor.interfaces.adapter import Adapter
from stentor.interfaces.codec import Codec, CodecSpec
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.interfaces.metric import Metric
from stentor.interfaces.reward import Reward, Scores
from stentor.interfaces.tokenizer import Codebook, TextTokenizer
from stentor.interfaces.vad import VAD
from stentor.interfaces.voice import Voice

HOP = 400


class Sound(Encoder):
    """Mean and deviation of every 25 ms, projected; keeps its contract."""

    width_shown = 8

    def __init__(self, *, dim: int = 8) -> None:
        super().__init__()
        self.dim, self.frame_rate, self.sample_rate = self.width_shown, 40.0, 16000
        self.project = nn.Linear(HOP, dim)

    @classmethod
    def spec(cls, *, dim: int = 8):
        return EncoderSpec(cls.width_shown, 40.0, 16000)

    def frames(self, samples):
        return -(-samples // HOP)

    def forward(self, audio, lengths):
        audio = nn.functional.pad(audio, (0, -audio.shape[1] % HOP))
        return self.project(audio.unflatten(1, (-1, HOP))), (lengths + HOP - 1) // HOP


class WideLiar(Sound):
    """Says that its frames are wider than they are."""

    width_shown = 16


class Counting(Sound):
    """Says that there are more frames than there are."""

    def frames(self, samples):
        return super().frames(samples) + 1


class PaddingSensitive(Sound):
    """Normalises over the padded batch."""

    def forward(self, audio, lengths):
        return super().forward(audio / audio.std(), lengths)


class Forgetful(Sound):
    """Keeps a tensor that is no buffer and that its state dict lacks."""

    def __init__(self, *, dim: int = 8) -> None:
        super().__init__(dim=dim)
        self.bias = torch.randn(dim)

    def forward(self, audio, lengths):
        frames, lengths = super().forward(audio, lengths)
        return frames + self.bias, lengths


class Detached(Sound):
    """A second layer that no gradient reaches."""

    def __init__(self, *, dim: int = 8) -> None:
        super().__init__(dim=dim)
        self.unused = nn.Linear(2, 2)


class Stuttering(Sound):
    """Claims to stream and drops what does not fill a frame."""

    capabilities = frozenset({"streaming"})

    def initial_state(self, batch):
        return None

    def step(self, audio, state, *, last=False):
        whole = audio[:, : audio.shape[1] // HOP * HOP]
        return self.forward(whole, torch.full((len(audio),), whole.shape[1]))[0], None


class Hoarding(Sound):
    """Claims to stream without delay and gives nothing before the end."""

    capabilities = frozenset({"streaming"})

    def initial_state(self, batch):
        return torch.zeros(batch, 0)

    def step(self, audio, state, *, last=False):
        held = torch.cat([state, audio], 1)
        frames, _ = self.forward(held, torch.full((len(held),), held.shape[1]))
        return (frames if last else frames[:, :0]), held


class Mingling(Hoarding):
    """Keeps what it heard of a stream on itself, where the next stream finds it."""

    def initial_state(self, batch):
        self.held = torch.zeros(batch, 0)

    def step(self, audio, state, *, last=False):
        frames, self.held = super().step(audio, self.held, last=last)
        return frames, None


class Swallowing(Sound):
    """Takes any option."""

    def __init__(self, **options) -> None:
        super().__init__()


class Shuffling(Sound):
    """Draws something new in every pass."""

    def forward(self, audio, lengths):
        frames, lengths = super().forward(audio, lengths)
        return frames + random.random(), lengths


class Halving(Adapter):
    """Declares stride 2 and drops the last odd frame."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.stride = 2
        self.project = nn.Linear(in_dim, out_dim)

    @classmethod
    def stride_of(cls):
        return 2

    def forward(self, frames, lengths):
        return self.project(frames[:, 1::2]), lengths // 2


class Raising(TextTokenizer):
    """Cannot stand what it does not know."""

    letters = "abcdefghijklmnopqrstuvwxyz "

    @property
    def size(self):
        return len(self.letters)

    def encode(self, text):
        return [self.letters.index(letter) for letter in text]

    def decode(self, ids):
        return "".join(self.letters[index] for index in ids)


class Zeroing(Reward):
    """Scores 0 what it cannot score."""

    nature = "verifiable"

    def score(self, prompts, responses):
        total = torch.tensor([float(len(response.get("text", ""))) for response in responses])
        return Scores(total, {"length": total})


class Hasty(VAD):
    """Judges every block on its own: what it remembers is lost between two calls."""

    sample_rate, frame_seconds = 16000, 0.02

    def begin(self, batch):
        return None

    def judge(self, frames, inner):
        level = np.abs(frames).max(axis=2)
        return np.minimum(1, level / np.maximum.accumulate(level + 1e-9, axis=1) * (level > 0)), None


class Upside(Metric):
    """Counts what is right and says that lower is better."""

    def counts(self, references, outputs):
        return [(float(left == right), 1.0) for left, right in zip(references, outputs, strict=True)]


class Loudness(Codec):
    """The power of every 20 ms in 16 steps; keeps its contract, save that it says nothing of decoding."""

    capabilities = frozenset({"streaming"})
    size, hop = 16, 320

    def __init__(self) -> None:
        super().__init__()
        self.declared = self.spec()
        self.register_buffer("step_size", torch.tensor(0.05))

    @classmethod
    def spec(cls):
        return CodecSpec(16000, (Codebook("power", 16, 50.0),), (1,), 320)

    def codes(self, row):
        frames = row[: len(row) // self.hop * self.hop].reshape(-1, self.hop)
        return ((frames.square().mean(1).sqrt() / self.step_size).long().clamp(max=self.size - 1),)

    def encode(self, audio, lengths):
        return [self.codes(row[:length]) for row, length in zip(audio, lengths.tolist(), strict=True)]

    def initial_state(self, batch):
        return torch.zeros(batch, 0)

    def step(self, audio, state, *, last=False):
        held = torch.cat([state, audio], 1)
        whole = held.shape[1] // self.hop * self.hop
        return [self.codes(row) for row in held[:, :whole]], held[:, whole:]


class Overflowing(Loudness):
    """Gives codes beyond its codebook for what is loud."""

    size = 32

    def codes(self, row):
        return ((super().codes(row)[0] * 3),)


class Rushing(Loudness):
    """Encodes what a block holds and forgets what is over."""

    def step(self, audio, state, *, last=False):
        return super().step(audio, torch.zeros(len(audio), 0))


class Normalising(Loudness):
    """Divides by the loudest sample of the batch."""

    def encode(self, audio, lengths):
        return super().encode(audio / audio.abs().max().clamp(min=1e-3), lengths)


class Partial(Loudness):
    """Gives a code for what is left over at the end."""

    def codes(self, row):
        return super().codes(nn.functional.pad(row, (0, -len(row) % self.hop)))


class Misrated(Loudness):
    """Declares twice the rate at which its codes come."""

    @classmethod
    def spec(cls):
        return CodecSpec(16000, (Codebook("power", 16, 100.0),), (1,), 320)


class Mumbling(Loudness):
    """Claims to decode and gives half of the samples."""

    capabilities = frozenset({"decode"})

    def decode(self, codes):
        rows = [row[0].repeat_interleave(self.hop // 2).float() for row in codes]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


class Hurrying(Voice):
    """Hums, and says several texts together all at one speed."""

    sample_rate, licence = 16000, "none"

    def speak(self, text, *, speed=1.0):
        times = np.arange(round(1600 * len(text) / speed)) / 16000
        return (0.2 * np.sin(2 * np.pi * (100 + len(text)) * times)).astype(np.float32)

    def speak_all(self, texts, *, speeds=None):
        return super().speak_all(texts)
