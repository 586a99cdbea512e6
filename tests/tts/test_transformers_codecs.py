"""Codecs of `transformers`, from tiny random checkpoints: under the contract, equal to the library, told when wrong."""

import json
import shutil

import pytest
import tiny_codecs
import torch

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.testing import CodecContract
from stentor.testing.signals import voiced
from stentor_tts.tokenizer.hub import plain


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Where the checkpoints are; the contract knows it too."""
    place = tmp_path_factory.mktemp("codecs")
    found = {kind: tiny_codecs.write(kind, place) for kind in tiny_codecs.CONFIGS}
    TestMimi.config = {"codebooks": 4, "weights": found["mimi"]}
    return place


class TestMimi(CodecContract):
    """With weights, so that codes mean something; read once."""

    name = "mimi"
    read = None

    def seeded(self, seed, **changes):
        codec = super().seeded(seed, **changes)
        if codec.network.device.type == "meta":
            return codec
        if self.read is None:
            codec.load_pretrained()
            type(self).read = codec.state_dict()
        codec.load_state_dict(self.read)
        return codec

    def test_builds_from_defaults(self):
        """The published sizes, without memory for their weights."""
        with torch.device("meta"):
            super().test_builds_from_defaults()


def build(kind, folder, codebooks=0):
    codec = registry().build("codec", kind, weights=str(folder / kind), codebooks=codebooks)
    codec.load_pretrained()
    return codec


@pytest.mark.parametrize("kind", ["mimi", "encodec", "dac"])
def test_weights_are_those_of_the_checkpoint(kind, folder):
    codec = build(kind, folder)
    told = codec.load_pretrained()
    assert told["source"] == f"folder {folder / kind}"
    assert len(told["sha256"]) == 64
    due = plain(tiny_codecs.model(kind)).state_dict()
    assert all(torch.equal(tensor, due[name]) for name, tensor in codec.network.state_dict().items())


@torch.no_grad()
def test_codes_and_sound_are_those_of_the_library(folder):
    audio = voiced(2400, 2400)[None, None]
    mimi, model = build("mimi", folder, codebooks=4), tiny_codecs.model("mimi")
    theirs = model.encode(audio, num_quantizers=4).audio_codes
    ours = mimi.encode(audio[0], torch.tensor([2400]))
    assert torch.equal(torch.stack(ours[0]), theirs[0])
    assert len(torch.unique(theirs)) > 8
    assert torch.allclose(mimi.decode(ours)[0], model.decode(theirs).audio_values[0], atol=1e-5)
    encodec, model = build("encodec", folder, codebooks=1), tiny_codecs.model("encodec")
    theirs = model.encode(audio, bandwidth=0.24)
    ours = encodec.encode(audio[0], torch.tensor([2400]))
    assert torch.equal(torch.stack(ours[0]), theirs.audio_codes[0, 0])
    assert len(torch.unique(theirs.audio_codes)) > 3
    decoded = model.decode(theirs.audio_codes, theirs.audio_scales).audio_values[0]
    assert torch.allclose(encodec.decode(ours)[0], decoded, atol=1e-5)
    dac, model = build("dac", folder), tiny_codecs.model("dac")
    theirs = model.encode(audio).audio_codes
    ours = dac.encode(audio[0], torch.tensor([2400]))
    assert torch.equal(torch.stack(ours[0]), theirs[0])
    decoded = torch.atleast_2d(model.decode(audio_codes=theirs).audio_values)
    assert torch.allclose(dac.decode(ours)[0][:, : decoded.shape[1]], decoded, atol=1e-5)


@torch.no_grad()
def test_mimi_streams_beyond_its_attention_window(folder):
    """Three times as long as the window of its transformers."""
    codec = build("mimi", folder)
    audio = torch.stack([voiced(4800, 2400, pitch) for pitch in (90.0, 160.0)])
    whole = codec.encode(audio, torch.tensor([4800, 4800]))
    sound, _ = codec.decode(whole)
    state, decoding, pieces = codec.initial_state(2), codec.initial_decode_state(2), []
    for block in audio.split(301, 1):
        codes, state = codec.step(block, state)
        samples, decoding = codec.decode_step(codes, decoding)
        pieces.append(samples)
    streamed = torch.cat(pieces, 1)
    assert streamed.shape == sound.shape
    assert torch.allclose(streamed, sound, atol=1e-4)
    assert codec.network.config.sliding_window * 3 < len(whole[0][0])


def test_specs_of_published_weights_need_nothing_at_hand():
    spec = {kind: registry().get("codec", kind).load().spec() for kind in ("mimi", "encodec", "dac")}
    rates = {kind: (one.sample_rate, one.codebooks[0].rate, len(one.codebooks)) for kind, one in spec.items()}
    assert rates == {"mimi": (24000, 12.5, 8), "encodec": (24000, 75.0, 8), "dac": (16000, 50.0, 12)}
    assert spec["mimi"].group_samples == 1920
    assert spec["encodec"].codebooks[0].size == 1024


def test_what_is_wrong_is_told(folder, tmp_path):
    mimi = registry().get("codec", "mimi").load()
    with pytest.raises(StentorError, match="the sizes of 'somebody/codec' are not known"):
        mimi(weights="somebody/codec")
    with pytest.raises(StentorError, match="is a model of type 'dac', not 'mimi'"):
        mimi(weights=str(folder / "dac"))
    with pytest.raises(StentorError, match=r"codec.codebooks: it must be 0 to 5, the codebooks there are, not 6"):
        mimi(weights=str(folder / "mimi"), codebooks=6)
    with pytest.raises(StentorError, match="not found"):
        with torch.device("meta"):
            codec = mimi()
        codec.load_pretrained()


def changed(folder, tmp_path, kind, **values):
    """A copy of a checkpoint with other values in its configuration."""
    place = tmp_path / kind
    shutil.copytree(folder / kind, place)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(config | values))
    return str(place)


def test_weights_that_do_not_fit_are_told(folder, tmp_path):
    codec = registry().build("codec", "dac", weights=changed(folder, tmp_path, "dac", codebook_size=32))
    with pytest.raises(StentorError, match=r"do not fit: \d+ tensors are missing or of another shape"):
        codec.load_pretrained()


def test_stereo_and_scales_are_refused(folder, tmp_path):
    encodec = registry().get("codec", "encodec").load()
    with pytest.raises(StentorError, match="scales beside the codes"):
        encodec(weights=changed(folder, tmp_path, "encodec", normalize=True), codebooks=1)
    with pytest.raises(StentorError, match="codes stereo"):
        registry().build("codec", "mimi", weights=changed(folder, tmp_path, "mimi", audio_channels=2), codebooks=1)
