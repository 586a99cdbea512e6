"""A disk that is full or read-only: one sentence, what was there before is whole, nothing half-written stays."""

import argparse
import errno
import os
import re
import resource
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from stentor import train
from stentor.data import audio, quarantine
from stentor.data.cache import FrameCache
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.evaluate.journal import Journal
from stentor.interfaces.corpus import Rejected
from stentor.report import run_report
from stentor.train import checkpoint, weights
from stentor.train.tracking import Lines

BYTES = 4096
"""What fits on the full disk; every writer below has more to write."""
WORDS = "seven small boats leave the harbour " * 1000


def checkpoint_weights(folder, version):
    tensors = {"weight": torch.full((10000,), float(version))}
    checkpoint.write(folder, {"step": version}, {}, lambda path: weights.save(path, tensors, tensors))


def checkpoint_state(folder, version):
    state = {"state": torch.full((10000,), float(version))}
    checkpoint.write(folder, {"step": version}, state, lambda path: path.write_bytes(b"small"))


def metrics(folder, version):
    path = folder / "metrics.jsonl"
    if version == 1:
        path.write_text("".join(f'{{"step": {step}}}\n' for step in range(2000)))
    Lines(path, 2000 - version).close("done")


def evaluation(folder, version):
    Journal(folder, "test", {}).close({"version": version, "outputs": WORDS})


def report(folder, version):
    run = folder.parent / f"run{version}"
    run.mkdir()
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0, "elapsed": 1.0}\n')
    run_report.write(run, folder / "report.html")


def quarantined(folder, version):
    quarantine.write(folder / "quarantine.jsonl", [Rejected(f"{version}.wav", WORDS)])


def recording(folder, version):
    audio.write(folder / "a.wav", np.full(16000, version / 10, np.float32), 16000)


class Widening(nn.Module):
    """Frames of 64 numbers, one for every 10 samples."""

    def forward(self, waves, lengths):
        return waves[:, ::10, None].expand(-1, -1, 64), (lengths + 9) // 10


def frame_cache(folder, version):
    source = folder.parent / f"{version}.wav"
    source.write_bytes(b"audio")
    heard = Utterance(str(version), str(source), 0.5, 16000)
    FrameCache(folder, Widening(), {}).build([heard], lambda _: torch.zeros(8000), progress=False)


@dataclass
class Talker:
    """A trained task that says a lot, and its recipe."""

    version: int
    name: str = "talker"
    sample_rate: int = 8000

    def to(self, device):
        return self

    def predict(self, batch):
        return [f"{self.version} {WORDS}" for _ in batch["ids"]]


def transcript(folder, version):
    module = pytest.importorskip("stentor_asr.cli.transcribe", reason="the asr plugin is not installed")
    source = folder.parent / "speech.wav"
    if version == 1:
        audio.write(source, np.random.default_rng(0).normal(0, 0.1, 8000), 8000)
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    words = [source, "--run", folder, "-o", folder / "speech.txt", "--force"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train, "load", lambda _, **changes: (Talker(version), Talker(version)))
        module.run(parser.parse_args(list(map(str, words))))


WRITERS = [
    checkpoint_weights,
    checkpoint_state,
    metrics,
    evaluation,
    report,
    quarantined,
    recording,
    frame_cache,
    transcript,
]


@contextmanager
def full():
    """No file takes more than `BYTES`, whatever library writes it; the system refuses half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, hard))
    try:
        yield "File too large"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only():
    """No file takes its name."""

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "replace", refuse)
        yield "Read-only file system"


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("broken", [full, read_only])
@pytest.mark.parametrize("write", WRITERS)
def test_a_refused_write_is_one_sentence_and_changes_nothing(tmp_path, capsys, write, broken):
    folder = tmp_path / "out"
    folder.mkdir()
    write(folder, 1)
    before = everything(folder)
    assert before
    with broken() as reason, pytest.raises(StentorError) as refused:
        write(folder, 2)
    (problem,) = refused.value.problems
    assert re.fullmatch(rf"cannot write it: ({reason}|the disk refuses \([^\n]+\))\.", problem.message)
    assert str(folder) in problem.path
    assert everything(folder) == before
    write(folder, 3)
    assert everything(folder) != before, "once there is room it is written"


def test_an_evaluation_keeps_what_was_decoded_before_the_disk_was_full(tmp_path):
    journal = Journal(tmp_path, "test", {"weights": "1"})
    journal.open()
    journal.add([{"id": "a", "output": "yes"}])
    with full(), pytest.raises(StentorError, match=r"cannot write it: File too large"):
        journal.add([{"id": "b", "output": WORDS}])
    assert list(Journal(tmp_path, "test", {"weights": "1"}).open()) == ["a"]
