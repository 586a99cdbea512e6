"""Whisper tiny.en out of the pip package: exact, complete, pinned."""

import struct

import numpy as np
import pytest
import torch
from tiny_whisper import needs_weights

from stentor.errors import StentorError
from stentor_asr.whisper import ctranslate2
from stentor_asr.whisper.package import MeetingNoterModels, to_transformers


def named(text):
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def written(path, arrays, aliases=(), version=6, specification="WhisperSpec"):
    kinds = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
    data = struct.pack("<I", version) + named(specification) + struct.pack("<II", 3, len(arrays))
    for name, array in arrays.items():
        data += named(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        data += struct.pack("<BI", kinds[str(array.dtype)], array.nbytes) + array.tobytes()
    data += struct.pack("<I", len(aliases)) + b"".join(named(a) + named(b) for a, b in aliases)
    path.write_bytes(data)
    return path


def test_reader_gives_back_what_was_written(tmp_path):
    arrays = {"a/weight": np.arange(6, dtype=np.float16).reshape(2, 3), "b": np.array(7, np.int32),
              "c": np.zeros((0, 4), np.float32)}  # fmt: skip
    read = ctranslate2.read(written(tmp_path / "model.bin", arrays, [("same", "a/weight")]))
    assert read.specification == "WhisperSpec"
    assert set(read.arrays) == {*arrays, "same"}
    for name, array in arrays.items():
        assert read.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(read.arrays[name], array)


@pytest.mark.parametrize("cut", [0, 3, 20, 60])
def test_truncated_file_is_one_sentence(tmp_path, cut):
    path = written(tmp_path / "model.bin", {"a/weight": np.ones((8, 8), np.float32)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StentorError, match="CTranslate2"):
        ctranslate2.read(path)


def test_other_versions_are_refused(tmp_path):
    with pytest.raises(StentorError, match="version 4"):
        ctranslate2.read(written(tmp_path / "model.bin", {}, version=4))


def test_other_models_and_key_biases_are_refused(tmp_path):
    with pytest.raises(StentorError, match="TransformerSpec"):
        to_transformers(ctranslate2.read(written(tmp_path / "a", {}, specification="TransformerSpec")))
    fused = {"encoder/layer_0/self_attention/linear_0/bias": np.ones(12, np.float32)}
    with pytest.raises(StentorError, match="bias"):
        to_transformers(ctranslate2.read(written(tmp_path / "b", fused)))
    with pytest.raises(StentorError, match="no counterpart"):
        to_transformers(ctranslate2.read(written(tmp_path / "c", {"encoder/odd/weight": np.ones(2, np.float32)})))


@needs_weights
def test_every_key_of_transformers_is_there():
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    package = MeetingNoterModels()
    state = package.state_dict()
    with torch.device("meta"):
        model = WhisperForConditionalGeneration(WhisperConfig(**package.json("config.json")))
    assert set(state) == set(model.state_dict())
    model.load_state_dict(state, strict=True, assign=True)


@needs_weights
def test_fused_projections_are_split_where_they_were_joined():
    package = MeetingNoterModels()
    arrays = ctranslate2.read(package.file("tokenizer.json").parent / "model.bin").arrays
    state = package.state_dict("model.decoder.layers.2.")
    fused = torch.from_numpy(arrays["decoder/layer_2/self_attention/linear_0/weight"].astype(np.float32))
    parts = [state[f"self_attn.{name}_proj.weight"] for name in "qkv"]
    assert torch.equal(torch.cat(parts), fused)


@needs_weights
def test_changed_weights_are_refused(tmp_path, monkeypatch):
    package = MeetingNoterModels()
    (tmp_path / "model.bin").write_bytes(b"something else")
    monkeypatch.setitem(package.__dict__, "_folder", tmp_path)
    with pytest.raises(StentorError, match="pinned"):
        package.state_dict()
