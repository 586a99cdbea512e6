"""What is counted of codes, and centroids that find what is there."""

import numpy as np
import pytest
import torch

from stentor.data import audio, manifest
from stentor.data.utterance import Utterance
from stentor.interfaces.codec import CodecSpec
from stentor.interfaces.tokenizer import Codebook
from stentor_tts.tokenizer.centroids import Centroids
from stentor_tts.tokenizer.dual import DualCodec
from stentor_tts.tokenizer.usage import Usage, perplexity, spelled, usage_on

SPEC = CodecSpec(16000, (Codebook("a", 4, 50 / 3), Codebook("b", 16, 25.0)), (2, 3), 1920)


def clusters(size=6, each=60):
    """Frames [size * each, 1 + size] of tight clusters, each around a point of its own axis, and their centres."""
    centres = 6 * torch.eye(size)
    noise = torch.randn(size * each, size, generator=torch.Generator().manual_seed(3))
    points = centres.repeat_interleave(each, 0) + 0.05 * noise
    return torch.cat([torch.ones(len(points), 1), points], 1), centres


def test_perplexity():
    assert perplexity(torch.tensor([5, 5, 0, 5])) == pytest.approx(3)
    assert perplexity(torch.tensor([7, 0])) == pytest.approx(1)
    assert perplexity(torch.zeros(4, dtype=torch.int64)) == 1


def test_a_report_of_known_codes():
    usage = Usage(SPEC)
    usage.add([(torch.tensor([0, 1, 0, 1]), torch.arange(6)), (torch.tensor([0, 1]), torch.tensor([6, 7, 7]))])
    report = usage.report()
    assert report["seconds"] == pytest.approx(0.36)
    assert report["rate"] == pytest.approx(41.667, abs=0.001)
    assert report["bits_per_second"] == pytest.approx(50 / 3 * 2 + 25 * 4)
    first, second = report["codebooks"]["a"], report["codebooks"]["b"]
    assert (first["codes"], first["used"], first["dead"]) == (6, 0.5, 2)
    assert first["perplexity"] == pytest.approx(2)
    assert (second["codes"], second["dead"]) == (9, 8)
    assert report["entropy_bits_per_second"] == pytest.approx(50 / 3 + 25 * np.log2(second["perplexity"]))


def test_codes_as_text():
    assert spelled(SPEC, (torch.tensor([3, 1]), torch.tensor([], dtype=torch.int64))) == "a 3 1 b"


def test_usage_over_a_manifest(tmp_path):
    rows = []
    for number in range(3):
        samples = (0.1 * np.random.default_rng(number).standard_normal(8000)).astype(np.float32)
        audio.write(tmp_path / f"{number}.wav", samples, 16000)
        rows.append(Utterance(str(number), str(tmp_path / f"{number}.wav"), 0.5, 16000, text="a", frames=8000))
    manifest.save(tmp_path / "set.jsonl.gz", rows)
    codec = DualCodec(streams="semantic", semantic=8).eval()
    report = usage_on(codec, str(tmp_path / "set.jsonl.gz"), limit=2, progress=False)
    assert report["codebooks"]["semantic"]["codes"] == 2 * 4 * 3
    assert report["seconds"] == pytest.approx(0.96)


def test_centroids_begin_in_clusters():
    frames, centres = clusters()
    torch.manual_seed(0)
    book = Centroids(6, torch.ones(6), 0)
    assert not book.begun
    book.begin(frames)
    assert book.begun
    codes = book(frames)
    assert len(set(codes.tolist())) == 6
    assert torch.allclose(book.features(codes[::60]), centres, atol=0.1)


def test_states_are_standardised_and_fade_into_silence():
    frames, _ = clusters()
    book = Centroids(6, torch.ones(0), 6, weight=2.0)
    book.begin(frames)
    spread = book.points(frames)
    assert float(spread.square().sum(-1).mean()) == pytest.approx(4.0, rel=0.02)
    silent = torch.cat([torch.zeros(len(frames), 1), frames[:, 1:]], 1)
    assert not book.points(silent).any()


def test_descent_refines_and_moves_what_nobody_chooses():
    frames, centres = clusters()
    torch.manual_seed(0)
    book = Centroids(6, torch.ones(6), 0)
    book.begin(frames)
    with torch.no_grad():
        book.weight[0] = 100.0
        book.weight[1:] += 0.3
    for _ in range(60):
        book.zero_grad()
        book.loss(frames).backward()
        with torch.no_grad():
            book.weight -= 0.5 * book.weight.grad
    assert torch.allclose(book.features(book(frames)[::60]), centres, atol=0.15)
    assert float(book.loss(frames)) < 0.05


def test_a_loss_without_gradient_changes_nothing():
    frames, _ = clusters()
    book = Centroids(6, torch.ones(6), 0)
    before = {name: tensor.clone() for name, tensor in book.state_dict().items()}
    with torch.no_grad():
        book.loss(frames)
    assert all(torch.equal(tensor, before[name]) for name, tensor in book.state_dict().items())


def test_fewer_frames_than_centroids():
    book = Centroids(40, torch.ones(2), 0)
    book.begin(clusters(2, 5)[0])
    assert torch.isfinite(book.weight).all()
    assert int(book(clusters(2, 5)[0]).max()) < 40
