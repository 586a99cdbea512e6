"""Configurations of the decoders that `causal-lm` builds: from a shape, or from the weights' own config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from torch import Tensor

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.model import attention, weights
from stentor.model.weights import Source

Architecture = Literal["llama", "mistral", "qwen2", "qwen3", "olmo2"]


_LEAST = {"dim": 1, "layers": 1, "heads": 1, "kv_heads": 1, "head_dim": 2, "ffn_dim": 1, "max_positions": 1}
_ABOVE_ZERO = ("rope_theta", "norm_eps")


def check_shape(**shape: Any) -> None:
    """Refuse a shape that no decoder has; names are those of `CausalLM`, and any may be absent or None.

    Raises:
        StentorError: with everything that is wrong.
    """
    given = {name: value for name, value in shape.items() if value is not None}
    found = {name: ranges.least(given[name], least) for name, least in _LEAST.items() if name in given}
    found |= {name: ranges.above_zero(given[name]) for name in _ABOVE_ZERO if name in given}
    if "dropout" in given:
        found["dropout"] = ranges.probability(given["dropout"])
    if all(fine for fine, _ in found.values()):
        found |= _relations(given)
    ranges.refuse({name: (given[name], one) for name, one in found.items()}, "backbone.")


def _relations(given: Mapping[str, Any]) -> dict[str, ranges.Finding]:
    """What has to divide what: heads the width, key/value heads the heads; rotary positions turn pairs."""
    found = {}
    dim, heads, kv_heads, head_dim = (given.get(name) for name in ("dim", "heads", "kv_heads", "head_dim"))
    if dim and heads and not head_dim:
        found["dim"] = dim % (2 * heads) == 0, f"a multiple of twice the number of heads, {heads}, not {dim}"
    if head_dim:
        found["head_dim"] = head_dim % 2 == 0, f"even, not {head_dim}"
    if heads and kv_heads:
        found["kv_heads"] = heads % kv_heads == 0, f"a divisor of the number of heads, {heads}, not {kv_heads}"
    return found


def from_shape(architecture: str, **shape: Any) -> Any:
    """A configuration of transformers.

    Weights start as N(0, 2 / (5 dim)) (Nguyen and Salazar 2019, arXiv 1910.05895).
    """
    from transformers import AutoConfig

    theta, width = shape.pop("rope_theta"), shape["hidden_size"]
    config = AutoConfig.for_model(
        architecture,
        **shape,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
        initializer_range=(2 / (5 * width)) ** 0.5,
        pad_token_id=None,
        bos_token_id=None,
        eos_token_id=None,
    )
    if hasattr(config, "sliding_window"):
        config.sliding_window = None
    return config


def raw_config(name: str) -> dict[str, Any]:
    """The ``config.json`` of pretrained weights `name`, checked for an architecture that is known here.

    Raises:
        StentorError: when it is not at hand, or names another architecture.
    """
    raw = weights.config_of(name)
    if not raw:
        raise StentorError(f"the sizes of '{name}' are not known without its config.json, which is not at hand.",
                           path="backbone.weights", value=name)  # fmt: skip
    if raw.get("model_type") not in get_args(Architecture):
        raise StentorError(f"'{name}' is a '{raw.get('model_type')}'; this backbone takes other model types.",
                           path="backbone.weights", value=str(raw.get("model_type")),
                           options=get_args(Architecture))  # fmt: skip
    return raw


def from_weights(name: str, vocabulary_size: int) -> Any:
    """The configuration of pretrained weights `name`, with a vocabulary of `vocabulary_size`.

    Raises:
        StentorError: when it is not at hand, or attends through a sliding window.
    """
    from transformers import AutoConfig

    raw = raw_config(name)
    config = AutoConfig.for_model(raw.pop("model_type"), **{**raw, "vocab_size": vocabulary_size})
    windowed = "sliding_attention" in (getattr(config, "layer_types", None) or [])
    if windowed or (config.model_type == "mistral" and config.sliding_window):
        raise StentorError(f"'{name}' attends through a sliding window, which this backbone does not do.",
                           path="backbone.weights", value=name)  # fmt: skip
    config.pad_token_id = config.bos_token_id = config.eos_token_id = None
    return config


def build(config: Any) -> Any:
    """The decoder of `config`, without its head, with our attention."""
    from transformers import AutoModel

    attention.register()
    config.use_cache = False
    return AutoModel.from_config(config, attn_implementation=attention.NAME)  # type: ignore[no-untyped-call]


def read(source: Source, decoder: Any, head: Tensor | None) -> None:
    """Copy pretrained tensors into `decoder` and `head`; vocabulary rows beyond the pretrained ones stay as they are.

    Raises:
        StentorError: when tensors are missing or have another shape.
    """
    found = source.checkpoint.state_dict("model.") or source.checkpoint.state_dict()
    wanted = decoder.state_dict()
    tables = {"embed_tokens.weight": wanted["embed_tokens.weight"]}
    if head is not None:
        tables["lm_head.weight"] = head.data
        found["lm_head.weight"] = source.checkpoint.state_dict("lm_head.").get("weight", found["embed_tokens.weight"])
    missing = sorted((wanted.keys() | tables.keys()) - found.keys())
    wrong = [name for name in wanted if name in found and found[name].shape[1:] != wanted[name].shape[1:]]
    if missing or wrong:
        raise StentorError(
            f"the weights of '{source.name}' do not fit: {len(missing)} tensors are missing and {len(wrong)} have "
            f"another shape, e.g. {(missing + wrong)[0]}.",
            value=source.name,
        )
    for name, tensor in {**wanted, **tables}.items():
        rows = min(len(tensor), len(found[name])) if name in tables else len(tensor)
        tensor[:rows].copy_(found[name][:rows])
