"""Tiny random checkpoints of the codecs of `transformers`, in the layout of the published ones."""

from __future__ import annotations

from pathlib import Path

import torch

from stentor.testing.signals import voiced

CONFIGS = {
    "mimi": {
        "hidden_size": 16, "num_filters": 4, "upsampling_ratios": [4, 3, 2], "kernel_size": 3, "codebook_size": 16,
        "codebook_dim": 8, "vector_quantization_hidden_dimension": 8, "num_quantizers": 5, "num_hidden_layers": 2,
        "intermediate_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
        "upsample_groups": 16, "sliding_window": 7, "sampling_rate": 2400, "num_residual_layers": 1,
        "layer_scale_initial_scale": 0.5,
    },
    "encodec": {
        "hidden_size": 8, "codebook_dim": 8, "num_filters": 4, "upsampling_ratios": [5, 4, 2], "kernel_size": 3,
        "last_kernel_size": 3, "codebook_size": 16, "num_lstm_layers": 1, "sampling_rate": 2400,
        "target_bandwidths": [0.24, 0.96],
    },
    "dac": {
        "encoder_hidden_size": 4, "decoder_hidden_size": 16, "downsampling_ratios": [2, 5, 4],
        "upsampling_ratios": [4, 5, 2], "hop_length": 40, "hidden_size": 16, "codebook_size": 16, "codebook_dim": 4,
        "n_codebooks": 3, "sampling_rate": 2400,
    },
}  # fmt: skip


@torch.no_grad()
def model(kind: str):
    """A model with random weights and random codebooks."""
    import transformers

    config = {"mimi": transformers.MimiConfig, "encodec": transformers.EncodecConfig, "dac": transformers.DacConfig}
    made = {"mimi": transformers.MimiModel, "encodec": transformers.EncodecModel, "dac": transformers.DacModel}
    torch.manual_seed(4)
    network = made[kind](config[kind](**CONFIGS[kind])).eval()
    heard = network.encoder(voiced(2400, 2400)[None, None])[0].T if kind == "encodec" else torch.randn(60, 8)
    for name, tensor in network.named_buffers():
        if name.endswith(("embed_sum", "codebook.embed")):
            residual = 0 if "quantizer.layers.0." in name else heard.mean(0)
            tensor.copy_((heard - residual)[torch.randperm(len(heard))[: len(tensor)]])
    return network


def write(kind: str, folder: Path) -> str:
    """The folder of a checkpoint."""
    place = folder / kind
    if not place.exists():
        model(kind).save_pretrained(place)
    return str(place)
