"""The Whisper encoder: its features and frames against transformers, batches against single utterances."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_whisper import needs_weights, noise, save

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_asr.whisper.features import LogMel, mel_filters

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("whisper")
    save(place)
    return place


@pytest.fixture(scope="module")
def encoder(folder):
    built = registry().build("encoder", "whisper", weights=str(folder))
    built.load_pretrained()
    return built


def batch_of(*seconds):
    rows = [torch.from_numpy(noise(length, seed)) for seed, length in enumerate(seconds)]
    lengths = torch.tensor([len(row) for row in rows])
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths


def test_log_mel_is_that_of_transformers():
    from transformers import WhisperFeatureExtractor

    audio = noise(7.3) * np.linspace(0, 1, round(7.3 * 16000), dtype=np.float32)
    expected = WhisperFeatureExtractor()(audio, sampling_rate=16000, return_tensors="pt").input_features[0]
    ours = LogMel(80)(torch.from_numpy(audio)[None], 3000)[0]
    assert (ours - expected).abs().max() < TOLERANCE
    short = LogMel(80)(torch.from_numpy(audio)[None], 731)[0]
    assert (short - expected[:, :731]).abs().max() < TOLERANCE


@pytest.mark.parametrize("bands", [80, 128])
def test_mel_filters_are_those_of_transformers(bands):
    from transformers import WhisperFeatureExtractor

    expected = torch.from_numpy(WhisperFeatureExtractor(feature_size=bands).mel_filters.T)
    assert (mel_filters(bands) - expected).abs().max() < 1e-6


def test_full_window_is_that_of_transformers(folder, encoder):
    from transformers import WhisperFeatureExtractor, WhisperModel

    audio = noise(30.0)
    audio[-800:] = 0.0
    features = WhisperFeatureExtractor()(audio, sampling_rate=16000, return_tensors="pt").input_features
    with torch.no_grad():
        expected = WhisperModel.from_pretrained(folder).eval().encoder(features).last_hidden_state
    ours, lengths = encoder(torch.from_numpy(audio)[None], torch.tensor([len(audio)]))
    assert lengths.tolist() == [1500]
    assert (ours - expected).abs().max() < 1e-4


def test_batch_equals_single_and_padding_is_not_seen(encoder):
    audio, lengths = batch_of(1.0, 2.5, 0.3, 2.503)
    together, counts = encoder(audio, lengths)
    further, _ = encoder(torch.cat([audio, torch.randn(len(audio), 9000)], dim=1), lengths)
    assert torch.equal(together, further)
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        alone, _ = encoder(audio[row : row + 1, :length], length[None])
        assert count == alone.shape[1] == encoder.frames(int(length))
        assert (alone[0] - together[row, :count]).abs().max() < TOLERANCE
        assert not together[row, count:].any()


def test_long_utterances_are_windows(encoder):
    audio, lengths = batch_of(61.0, 4.0)
    together, counts = encoder(audio, lengths)
    assert counts.tolist() == [3050, 200]
    second, _ = encoder(audio[:1, 480000:960000], torch.tensor([480000]))
    assert (together[0, 1500:3000] - second[0]).abs().max() < TOLERANCE


@pytest.mark.parametrize("samples", [0, 1, 319, 320, 321, 399])
def test_shortest_utterances(encoder, samples):
    frames, counts = encoder(torch.full((2, 400), 0.1), torch.tensor([samples, 400]))
    assert counts.tolist() == [encoder.frames(samples), 2]
    assert torch.isfinite(frames).all()


def test_frozen_stays_as_it_is(folder):
    audio, lengths = batch_of(0.5)
    frozen = registry().build("encoder", "whisper", weights=str(folder)).train()
    assert not frozen.training and not frozen.network.training
    assert not frozen(audio, lengths)[0].requires_grad
    free = registry().build("encoder", "whisper", weights=str(folder), frozen=False).train()
    free(audio, lengths)[0].sum().backward()
    assert free.training and free.network.layers[0].fc1.weight.grad is not None


def test_building_reads_no_weights(monkeypatch):
    from stentor.model import hub_folder

    monkeypatch.setattr(hub_folder, "_safe_tensors", lambda *_: pytest.fail("it read weights"))
    built = registry().build("encoder", "whisper", weights="openai/whisper-tiny.en")
    assert sum(p.numel() for p in built.parameters()) == 8_208_384


def test_spec_needs_neither_files_nor_transformers():
    code = (
        "from stentor.plugins import registry; import sys;"
        "spec = registry().get('encoder', 'whisper').load().spec();"
        "assert (spec.dim, spec.frame_rate, spec.sample_rate) == (384, 50.0, 16000);"
        "assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_sizes_name_the_known_ones():
    whisper = registry().get("encoder", "whisper").load()
    with pytest.raises(StentorError, match=r"openai/whisper-tiny"):
        whisper.spec(weights="openai/whisper-tinny")


def test_weights_of_another_size_are_one_sentence(folder, tmp_path):
    save(tmp_path)
    (tmp_path / "config.json").write_text(
        (folder / "config.json").read_text().replace('"d_model": 32', '"d_model": 64')
    )
    built = registry().build("encoder", "whisper", weights=str(tmp_path))
    with pytest.raises(StentorError, match="do not fit"):
        built.load_pretrained()


@needs_weights
def test_pretrained_frames_do_not_depend_on_the_batch():
    built = registry().build("encoder", "whisper")
    assert built.load_pretrained()["sha256"].startswith("1a5afae06a4d")
    audio, lengths = batch_of(1.2, 2.0)
    together, _ = built(audio, lengths)
    alone, _ = built(audio[:1, : lengths[0]], lengths[:1])
    assert (together[0, : alone.shape[1]] - alone[0]).abs().max() < TOLERANCE
