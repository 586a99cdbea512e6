"""The contract of tasks."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.interfaces.task import Task
from stentor.plugins import registry
from stentor.testing.module import ModuleContract, padded, place
from stentor.testing.signals import SENTENCES, voiced


class TaskContract(ModuleContract):
    """Checks for tasks.

    Attributes:
        sections: role -> ``{"name": ..., **configuration}``; choose small components. A role left out gets the first
            registered component of its kind.
        texts: transcripts of the batch that it is tried on.
        steps: optimiser steps in which the loss of one batch has to fall.
        learning_rate: of those steps.
    """

    kind = "task"
    sections: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    texts: ClassVar[Sequence[str]] = SENTENCES[:3]
    steps: ClassVar[int] = 20
    learning_rate: ClassVar[float] = 3e-3

    def filled(self) -> dict[str, Mapping[str, Any]]:
        """`sections` with every role of the task that has to be filled, and the others that `sections` fills."""
        roles, optional = self.component_class.roles, self.component_class.optional_roles
        needed = {role: kind for role, kind in roles.items() if role in self.sections or role not in optional}
        return {role: self.sections.get(role) or {"name": registry().names(kind)[0]} for role, kind in needed.items()}

    def seeded(self, seed: int, **changes: Any) -> Any:
        given = {"state": changes.pop("state")} if "state" in changes else {"texts": self.texts}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.component_class.assemble(self.filled(), **given, **{**self.config, **changes})
        return module.eval()

    def batch(self, task: Any, rows: Sequence[int] | None = None) -> dict[str, Any]:
        """A batch of the loader's form with made audio; `rows` keeps only some utterances."""
        device, dtype = place(task)
        kept = range(len(self.texts)) if rows is None else rows
        rate = task.sample_rate
        audio, lengths = padded([voiced(int((0.6 + 0.25 * row) * rate), rate, 90.0 + 50 * row) for row in kept])
        return {
            "ids": [f"utterance-{row}" for row in kept],
            "texts": [self.texts[row] for row in kept],
            "speakers": ["tone" for _ in kept],
            "audio": audio.to(device, dtype),
            "audio_lengths": lengths.to(device),
        }

    def run(self, module: Any) -> Tensor:
        value: Tensor = module.training_loss(self.batch(module)).value
        return value.reshape(1)

    def test_builds_from_defaults(self) -> None:
        """It assembles with no configuration of its own."""
        self.component_class.assemble(self.filled(), texts=self.texts)

    def test_builds_on_meta(self) -> None:
        """Nothing to check: a task is assembled from trained tokenizers; its components are checked themselves."""
        self.skip("components are checked themselves")

    def test_moves_dtype(self) -> None:
        """With weights in float64 the loss stays what it was; it may be summed in float32."""
        with torch.no_grad():
            double, single = self.run(self.build().to(torch.float64)), self.run(self.build())
        self.agree(double.float(), single, "the loss with weights in float64 against float32")

    def test_unknown_option(self) -> None:
        """Its constructor names every option, so a misspelt one is a TypeError."""
        parameters = inspect.signature(self.component_class.__init__).parameters.values()
        open_ended = [str(parameter) for parameter in parameters if parameter.kind == parameter.VAR_KEYWORD]
        self.demand(not open_ended, f"its constructor takes {open_ended}, so misspelt options would pass unseen.")

    def test_roles(self) -> None:
        """Every role is of a registered kind and a positional parameter, in order; every metric is registered."""
        found = self.component_class
        for role, kind in found.roles.items():
            self.demand(
                kind in {known.name for known in registry().kinds()}, f"role '{role}' is of unknown kind '{kind}'."
            )
        parameters = list(inspect.signature(found.__init__).parameters.values())[1:]
        wired = [one.name for one in parameters if one.kind != one.KEYWORD_ONLY]
        self.demand(len(wired) == len(found.roles), f"roles are {list(found.roles)}, its constructor takes {wired}.")
        unknown = found.optional_roles - set(found.roles)
        self.demand(not unknown, f"optional roles {sorted(unknown)} are no roles.")
        missing = [name for name in found.metrics if name not in registry().names("metric")]
        self.demand(not missing, f"its metric '{(missing or [''])[0]}' is not registered.")

    def test_accepts_its_sections(self) -> None:
        """`check` finds nothing wrong with components that fit."""
        problems = self.component_class.check(self.filled(), **self.config)
        self.demand(not problems, f"check() objects: {(problems or [''])[0]}")

    def test_loss(self) -> None:
        """The loss is a finite scalar over a positive number of units."""
        task = self.build().train()
        loss = task.training_loss(self.batch(task))
        value = loss.value.detach()
        self.demand(loss.value.ndim == 0, f"the loss has shape {tuple(loss.value.shape)}.")
        self.demand(bool(torch.isfinite(value)), f"the loss is {float(value)}.")
        self.demand(loss.units > 0, f"it averages {loss.units} units.")

    def test_learns_one_batch(self) -> None:
        """A few optimiser steps on one batch lower its loss by a tenth."""
        task = self.build()
        trainable = [value for value in task.parameters() if value.requires_grad]
        optimiser, batch = torch.optim.AdamW(trainable, lr=self.learning_rate), self.batch(task)
        before = float(self.run(task).detach())
        for _ in range(self.steps):
            optimiser.zero_grad()
            task.training_loss(batch).value.backward()
            optimiser.step()
        after = float(self.run(task).detach())
        self.demand(after < 0.9 * before, f"{self.steps} steps take the loss from {before:.4g} to {after:.4g}.")

    @torch.no_grad()
    def test_predict_batch_equals_single(self) -> None:
        """One output for every row, the same in a batch and alone."""
        task = self.build()
        if not self.gives_texts:
            self.skip("it gives no texts")
        together = task.predict(self.batch(task))
        self.demand(len(together) == len(self.texts), f"{len(self.texts)} utterances give {len(together)} outputs.")
        for row, text in enumerate(together):
            self.demand(isinstance(text, str), f"output {row} is a {type(text).__name__}.")
            alone = task.predict(self.batch(task, [row]))[0]
            self.demand(alone == text, f"row {row} gives {text!r:.60} in a batch and {alone!r:.60} alone.")

    @property
    def gives_texts(self) -> bool:
        """Whether it has a `predict` of its own; what speaks may do without."""
        return self.component_class.predict is not Task.predict

    def test_gives_something(self) -> None:
        """It gives texts, or claims to speak; `synthesise` is its own where it claims that, and only there."""
        speaks, own = "speaks" in self.component_class.capabilities, self.component_class.synthesise
        self.demand(speaks or self.gives_texts, "it has no predict() and does not claim 'speaks'.")
        fine = speaks == (own is not Task.synthesise)
        self.demand(fine, f"'speaks' is {'' if speaks else 'not '}claimed, and synthesise() is of {own.__qualname__}.")

    @torch.no_grad()
    def test_synthesise_batch_equals_single(self) -> None:
        """A waveform float [N] of finite samples for every row, the same in a batch and alone."""
        self.need("speaks")
        task = self.build()
        together = task.synthesise(self.batch(task))
        self.demand(len(together) == len(self.texts), f"{len(self.texts)} utterances give {len(together)} waveforms.")
        for row, wave in enumerate(together):
            fine = isinstance(wave, Tensor) and wave.ndim == 1 and wave.is_floating_point()
            self.demand(fine, f"row {row} gives {type(wave).__name__} {tuple(getattr(wave, 'shape', ()))}, not [N].")
            self.demand(bool(torch.isfinite(wave).all()), f"row {row} has samples that are not finite.")
            (alone,) = task.synthesise(self.batch(task, [row]))
            self.agree(alone.float(), wave.float(), f"row {row} alone against in a batch")

    @torch.no_grad()
    def test_state_round_trip(self) -> None:
        """A task assembled from its JSON state, with its weights, gives the same loss and outputs."""
        task = self.build()
        other = self.seeded(1, state=json.loads(json.dumps(task.state())))
        other.load_state_dict(task.state_dict())
        self.agree(self.run(other), self.run(task), "the loss of a restored task against the original")
        batch = self.batch(task)
        if self.gives_texts:
            self.demand(other.eval().predict(batch) == task.predict(batch), "a restored task gives other outputs.")
        if "speaks" in self.component_class.capabilities:
            for first, second in zip(other.eval().synthesise(batch), task.synthesise(batch), strict=True):
                self.agree(first, second, "what a restored task says against the original")

    def test_alignment(self) -> None:
        """Times of tokens, where it tells them, lie within the utterance and in order."""
        task = self.build()
        batch = self.batch(task)
        told = task.align(batch, list(self.texts))
        if told is None:
            self.skip("it tells no times")
        self.demand(len(told) == len(self.texts), f"{len(self.texts)} outputs get {len(told)} alignments.")
        for row, samples in zip(told, batch["audio_lengths"].tolist(), strict=True):
            times = [edge for _, start, end in row for edge in (start, end)]
            fine = all(0 <= edge <= samples / task.sample_rate + 0.5 for edge in times)
            starts = [start for _, start, _ in row]
            self.demand(fine and starts == sorted(starts), f"an utterance of {samples} samples gets times {times[:6]}.")

    def test_state_dict_round_trip(self) -> None:
        """Weights load into a second task assembled from the same texts."""
        super().test_state_dict_round_trip()

    @torch.no_grad()
    def test_cached_frames_equal_audio(self) -> None:
        """Cached encoder outputs in place of audio, or beside it where the task hears both, give the same loss."""
        task = self.build()
        encoder, batch = task.cached_encoder(), self.batch(task)
        if encoder is None:
            self.skip("it names no encoder whose outputs may be cached")
        frames, lengths = encoder(batch["audio"], batch["audio_lengths"])
        kept = {name: value for name, value in batch.items() if task.hears_cached or not name.startswith("audio")}
        cached = task.training_loss({**kept, "frames": frames, "frame_lengths": lengths}).value.reshape(1)
        self.agree(cached, self.run(task), "the loss from cached frames against that from audio")
