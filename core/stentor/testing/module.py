"""What every component with parameters proves."""

from __future__ import annotations

import pickle
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from stentor.testing.contract import ComponentContract


class ModuleContract(ComponentContract):
    """Checks for encoders, adapters, backbones and tasks: state, seeds, devices, dtypes, gradients."""

    @abstractmethod
    def run(self, module: Any) -> Tensor:
        """The float output of `module` for a fixed input, on the module's own device and dtype, padding left out."""

    def build(self, **changes: Any) -> Any:
        return self.seeded(0, **changes)

    def seeded(self, seed: int, **changes: Any) -> Any:
        """A new instance in evaluation mode, its weights drawn under `seed`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = super().build(**changes)
        return module.eval() if isinstance(module, nn.Module) else module

    @torch.no_grad()
    def probe(self, component: Any) -> Any:
        return self.run(component).tolist()

    def agree(self, measured: Tensor, expected: Tensor, what: str) -> None:
        """Demand equal shapes and values within `tolerance` of the largest value; `what` completes the sentence."""
        shapes = f"{tuple(measured.shape)} against {tuple(expected.shape)}"
        self.demand(measured.shape == expected.shape, f"{what}: shapes are {shapes}.")
        if not expected.numel():
            return
        allowed = self.tolerance * max(1.0, float(expected.abs().max()))
        off = float((measured - expected).abs().max())
        self.demand(off <= allowed, f"{what}: they differ by up to {off:.3g}, allowed is {allowed:.3g}.")

    def test_is_finite(self) -> None:
        """Ordinary input gives finite output."""
        with torch.no_grad():
            output = self.run(self.build())
        self.demand(bool(torch.isfinite(output).all()), "ordinary input gives NaN or infinite output.")

    def test_builds_on_meta(self) -> None:
        """It builds without memory for its weights, so that big models can be checked anywhere."""
        with torch.device("meta"):
            module = self.build()
        real = [name for name, value in module.named_parameters() if value.device.type != "meta"]
        self.demand(not real, f"parameter '{(real or [''])[0]}' takes memory although built on the meta device.")

    def test_state_dict_round_trip(self) -> None:
        """`state_dict` holds everything that decides the output, and loads into a new instance."""
        source, target = self.seeded(0), self.seeded(1)
        target.load_state_dict(source.state_dict())
        with torch.no_grad():
            same = torch.equal(self.run(source), self.run(target))
        self.demand(same, "an instance that loaded the state of another gives other output; something that matters "
                          "is neither a parameter nor a buffer.")  # fmt: skip

    def test_deterministic(self) -> None:
        """Equal seeds give equal weights, and evaluation twice gives equal output."""
        first, second = self.seeded(7), self.seeded(7)
        weights = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
        other = [name for (name, left), (_, right) in weights if not torch.equal(left, right)]
        self.demand(not other, f"'{(other or [''])[0]}' differs between two instances built under one seed.")
        with torch.no_grad():
            self.demand(torch.equal(self.run(first), self.run(first)), "evaluation twice gives two outputs.")

    def test_moves_dtype(self) -> None:
        """In float64 it computes in float64, and the same thing."""
        with torch.no_grad():
            single = self.run(self.build())
            double = self.run(self.build().to(torch.float64))
        self.demand(double.dtype == torch.float64, f"after .to(float64) it gives {double.dtype}.")
        self.agree(double.float(), single, "float64 against float32")

    def test_moves_device(self) -> None:
        """Every tensor it holds moves with it; on a machine with a GPU, it computes the same there."""
        module = self.build()
        for path, part in module.named_modules():
            loose = [name for name, value in vars(part).items() if isinstance(value, Tensor)]
            self.demand(not loose, f"tensor '{'.'.join([*filter(None, [path]), *loose[:1]])}' is no parameter or "
                                   f"buffer, so it stays behind when the module moves.")  # fmt: skip
        if torch.cuda.is_available():
            with torch.no_grad():
                expected = self.run(module)
                self.agree(self.run(module.to("cuda")).cpu(), expected, "GPU against CPU")

    def test_gradient_reaches_parameters(self) -> None:
        """Every trainable parameter gets a finite gradient from the output."""
        module = self.build()
        trainable = {name: value for name, value in module.named_parameters() if value.requires_grad}
        if not trainable:
            self.skip("it has no trainable parameter")
        output = self.run(module)
        self.demand(
            output.requires_grad, f"it has {len(trainable)} trainable parameters, but its output has no gradient."
        )
        weights = torch.linspace(-1.0, 1.0, output.numel(), dtype=output.dtype, device=output.device)
        torch.autograd.backward((output.reshape(-1) * weights).sum())
        for name, value in trainable.items():
            self.demand(value.grad is not None, f"no gradient reaches '{name}'.")
            self.demand(bool(torch.isfinite(value.grad).all()), f"the gradient of '{name}' is not finite.")

    def test_pickles(self) -> None:
        """A copy through pickle gives the same output: loader workers and launchers depend on it."""
        module = self.build()
        copy = pickle.loads(pickle.dumps(module))
        with torch.no_grad():
            self.demand(torch.equal(self.run(module), self.run(copy)), "a pickled copy gives other output.")


def place(module: nn.Module) -> tuple[torch.device, torch.dtype]:
    """Device and float type of `module`; CPU and float32 when it has no tensors."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


def padded(rows: list[Tensor], to: int | None = None) -> tuple[Tensor, Tensor]:
    """Rows of different length as one zero-padded batch [B, N, ...] and lengths int64 [B]; `to` pads further."""
    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max()) if to is None else to
    batch = rows[0].new_zeros((len(rows), width, *rows[0].shape[1:]))
    for index, row in enumerate(rows):
        batch[index, : len(row)] = row
    return batch, lengths


def valid(batch: Tensor, lengths: Tensor) -> list[Tensor]:
    """The valid part of every row."""
    return [row[:length] for row, length in zip(batch, lengths.tolist(), strict=True)]
