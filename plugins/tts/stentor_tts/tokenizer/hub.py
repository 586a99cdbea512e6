"""What the codecs of `transformers` share: sizes from ``config.json``, weights by name, one row at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import pad_sequence

from stentor.config import ranges
from stentor.errors import StentorError
from stentor.interfaces.codec import Codec, CodecSpec, Codes
from stentor.interfaces.tokenizer import Codebook
from stentor.model import weights as pretrained


class HubCodec(Codec):
    """A codec of `transformers`; subclasses say which, and how many codes of what it gives.

    Attributes:
        model_type: what ``config.json`` calls the model.
        sizes: name -> ``config.json`` of published weights, so that they can be described without being at hand.
    """

    model_type: ClassVar[str]
    sizes: ClassVar[Mapping[str, Mapping[str, Any]]]
    network: Any

    def __init__(self, weights: str, codebooks: int) -> None:
        super().__init__()
        self.weights, self.declared = weights, self.spec(weights=weights, codebooks=codebooks)
        self.network = plain(self.model_class()(self.config_of(weights))).eval().requires_grad_(False)

    @classmethod
    @abstractmethod
    def model_class(cls) -> Any:
        """The class in `transformers`."""

    @classmethod
    @abstractmethod
    def books(cls, config: Any) -> int:
        """How many codebooks the weights have."""

    @classmethod
    @abstractmethod
    def hop(cls, config: Any) -> int:
        """Samples behind one code of each codebook."""

    @abstractmethod
    def codes_of(self, audio: Tensor) -> Tensor:
        """Codes int64 [K, T] of a waveform [T * hop], T >= 1."""

    @abstractmethod
    def audio_of(self, codes: Tensor) -> Tensor:
        """Waveform [about T * hop] of codes int64 [K, T], T >= 1."""

    @classmethod
    def config_of(cls, weights: str) -> Any:
        """The configuration of `weights`: theirs where they are at hand, else what is known of them.

        Raises:
            StentorError: when they are not at hand and not known, or another model's.
        """
        plain = pretrained.config_of(weights) or {"model_type": cls.model_type, **cls.sizes.get(weights, {})}
        if weights not in cls.sizes and len(plain) == 1:
            raise StentorError(f"the sizes of '{weights}' are not known until it is at hand: give a folder in the "
                               "Hub's layout, or fetch it to the Hub cache.", path="codec.weights", value=weights,
                               options=sorted(cls.sizes))  # fmt: skip
        if plain.get("model_type") != cls.model_type:
            raise StentorError(f"'{weights}' is a model of type '{plain.get('model_type')}', not '{cls.model_type}'.",
                               path="codec.weights", value=weights)  # fmt: skip
        try:
            return cls.model_class().config_class.from_dict(plain)
        except Exception as cause:  # the library has error types of its own for every kind of wrong value
            raise StentorError(f"the configuration of '{weights}' is refused: {cause}", path="codec.weights") from cause

    @classmethod
    def spec_of(cls, config: Any, codebooks: int) -> CodecSpec:
        """The spec with the first `codebooks` of the codebooks; 0: all.

        Raises:
            StentorError: when there are not as many, or the audio is not mono.
        """
        there, hop, rate = cls.books(config), cls.hop(config), config.sampling_rate
        few = 0 <= codebooks <= there, f"0 to {there}, the codebooks there are, not {codebooks}"
        ranges.refuse({"codebooks": (codebooks, few)}, "codec.")
        if getattr(config, "audio_channels", 1) != 1:
            raise StentorError("it codes stereo; codecs of one channel are used here.", path="codec.weights")
        books = [Codebook(f"codebook-{index}", config.codebook_size, rate / hop) for index in range(codebooks or there)]
        return CodecSpec(rate, tuple(books), (1,) * len(books), hop)

    def load_pretrained(self) -> dict[str, str]:
        """Read the weights.

        Raises:
            StentorError: when they are nowhere to be found, or do not fit their configuration.
        """
        source = pretrained.resolve(self.weights)
        with _quietly():
            loaded, report = self.model_class().from_pretrained(
                None,
                config=self.network.config,
                state_dict=source.checkpoint.state_dict(),
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        lost = sorted({*report["missing_keys"], *(name for name, *_ in report["mismatched_keys"])})
        if lost:
            raise StentorError(f"the weights '{self.weights}' ({source.checkpoint.describe()}) do not fit: {len(lost)} "
                               f"tensors are missing or of another shape, e.g. '{lost[0]}'.",
                               path="codec.weights")  # fmt: skip
        self.network.load_state_dict(plain(loaded).state_dict())
        return source.provenance()

    @torch.no_grad()
    def encode(self, audio: Tensor, lengths: Tensor) -> list[Codes]:
        found = []
        for row, length in zip(audio, lengths.tolist(), strict=True):
            whole = row[: length // self.declared.group_samples * self.declared.group_samples]
            found.append(tuple(self.codes_of(whole)) if len(whole) else self.none(row.device))
        return found

    @torch.no_grad()
    def decode(self, codes: Sequence[Codes]) -> tuple[Tensor, Tensor]:
        rows = [self._exact(torch.stack(row)) for row in codes]
        return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])

    def _exact(self, codes: Tensor) -> Tensor:
        """The waveform [T * hop] of codes [K, T]: strides that do not come out even may lose a few samples."""
        due = codes.shape[1] * self.declared.group_samples
        samples = self.audio_of(codes) if due else next(self.parameters()).new_zeros(0)
        return functional.pad(samples[:due], (0, max(0, due - len(samples))))

    def none(self, device: torch.device) -> Codes:
        """No code of each codebook."""
        return tuple(torch.zeros(0, dtype=torch.int64, device=device) for _ in self.declared.codebooks)

    def train(self, mode: bool = True) -> HubCodec:
        """It is not trained here, and stays in evaluation mode."""
        super().train(False)
        return self


def plain(network: nn.Module) -> nn.Module:
    """`network` with weight normalisation worked into its weights, and no size that it keeps as a loose tensor.

    Neither a parametrised module nor such a tensor survives pickling or moving to a device.
    """
    for layer in network.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight")
            layer._load_state_dict_pre_hooks.clear()  # of the normalisation, and not to be pickled
        if isinstance(getattr(layer, "padding_left", None), Tensor):
            convolution: Any = layer.conv
            total = (convolution.kernel_size[0] - 1) * convolution.dilation[0] + 1 - convolution.stride[0]
            right: Any = total // 2
            layer.padding_right, layer.padding_left = right, total - right
    return network


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the library's bar and report: what is wrong is told in a sentence of our own."""
    from transformers.utils import logging as library

    logging: Any = library
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
