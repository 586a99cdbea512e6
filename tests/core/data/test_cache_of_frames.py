"""Frames of a frozen encoder on disk: the encoder's own, made once, found again, never of other weights."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stentor.data import audio, cache
from stentor.data.cache import FrameCache, default_folder
from stentor.data.utterance import Utterance
from stentor.errors import StentorError

RATE = 1000


class Frames(nn.Module):
    calls = 0

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(10, 4)

    def forward(self, waves, lengths):
        type(self).calls += len(waves)
        return self.linear(waves[:, : waves.shape[1] // 10 * 10].unflatten(1, (-1, 10))), lengths // 10


@pytest.fixture
def rows(tmp_path):
    made = []
    random = np.random.default_rng(1)
    for number in range(10):
        path = tmp_path / f"{number}.wav"
        audio.write(path, random.standard_normal(500 + 100 * number).astype(np.float32) * 0.1, 8000)
        made.append(Utterance(f"u{number}", str(path), 0.4 + 0.1 * number, RATE, frames=500 + 100 * number))
    return made


def read(row):
    return torch.from_numpy(np.sin(np.arange(round(row.duration * RATE)) * (1 + int(row.id[1:]))).astype(np.float32))


def made(folder, rows, encoder=None, configuration=None, **options):
    found = FrameCache(folder, encoder or Frames(), configuration or {}, **options)
    found.build(rows, read, progress=False)
    return found


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-6), ("fp16", 2e-3)])
def test_gives_what_the_encoder_gives(rows, tmp_path, precision, tolerance):
    frames, encoder = made(tmp_path / "c", rows, precision=precision), Frames()
    for row in rows:
        wave = read(row)
        expected, count = encoder(wave[None], torch.tensor([len(wave)]))
        assert frames(row).shape == (int(count), 4)
        assert torch.allclose(frames(row).float(), expected[0], atol=tolerance)


def test_the_encoder_runs_once(rows, tmp_path):
    Frames.calls = 0
    made(tmp_path / "c", rows[:4])
    made(tmp_path / "c", rows)
    made(tmp_path / "c", rows)
    assert Frames.calls == len(rows)


def test_a_clip_with_several_instructions_is_encoded_once(rows, tmp_path):
    again = [replace(row, id=f"u0{row.id[1:]}") for row in rows]
    Frames.calls = 0
    frames = made(tmp_path / "c", [*rows, *again])
    assert Frames.calls == len(rows)
    assert all(torch.equal(frames(one), frames(other)) for one, other in zip(rows, again, strict=True))


def test_other_weights_configuration_precision_or_audio_are_other_frames(rows, tmp_path):
    made(tmp_path / "c", rows)
    other = Frames()
    with torch.no_grad():
        other.linear.bias[0] += 1e-3
    for one in (
        FrameCache(tmp_path / "c", other, {}),
        FrameCache(tmp_path / "c", Frames(), {"x": 1}),
        FrameCache(tmp_path / "c", Frames(), {}, precision="fp32"),
    ):
        assert len(one.missing(rows)) == len(rows)
    os.utime(rows[0].audio, (1, 1))
    assert FrameCache(tmp_path / "c", Frames(), {}).missing(rows) == rows[:1]


def test_a_kill_costs_one_shard(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "_SHARD_SECONDS", 2.0)
    child = os.fork()
    if not child:
        seen = []

        def deadly(row):
            seen.append(row)
            if len(seen) > 6:
                os.kill(os.getpid(), signal.SIGKILL)
            return read(row)

        FrameCache(tmp_path / "c", Frames(), {}).build(rows, deadly, progress=False)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    left = FrameCache(tmp_path / "c", Frames(), {}).missing(rows)
    assert 0 < len(left) < len(rows)
    Frames.calls = 0
    frames = made(tmp_path / "c", rows)
    assert Frames.calls == len(left) and not frames.missing(rows)


def test_what_cannot_be_read_is_known_and_the_rest_is_there(rows, tmp_path):
    def picky(row):
        if row.id == "u2":
            raise StentorError("not audio")
        return read(row)

    frames = FrameCache(tmp_path / "c", Frames(), {})
    frames.build(rows, picky, progress=False)
    assert frames.failures == {"u2": "not audio"} and len(frames(rows[3]))
    with pytest.raises(StentorError, match="not audio"):
        frames(rows[2])


def test_the_encoder_comes_back_as_it_was(rows, tmp_path):
    encoder = Frames().train()
    made(tmp_path / "c", rows, encoder)
    assert encoder.training and encoder.linear.weight.requires_grad
    encoder.linear.weight.sum().backward()


def test_where_it_lies(tmp_path, monkeypatch):
    assert default_folder(tmp_path / "train.jsonl.gz", "") == tmp_path / "frames"
    assert default_folder(tmp_path / "train.jsonl.gz", "/elsewhere") == Path("/elsewhere")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert default_folder(tmp_path / "train.jsonl.gz", "") == Path.home() / ".cache" / "stentor" / "frames"
