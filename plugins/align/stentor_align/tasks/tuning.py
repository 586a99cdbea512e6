"""What every tuning task has in common: the policy of another run, and the reference that it is held to."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor

from stentor.errors import Problem, StentorError
from stentor.interfaces.task import Loss, Task
from stentor.train import weights
from stentor_align import reference, runs
from stentor_align.reference import Mode
from stentor_align.tasks import checking

Sections = Mapping[str, Mapping[str, Any]]


class TuningTask(Task):
    """A task around the policy of another run, which it begins with and goes on to train.

    The policy stays in evaluation mode: dropout and augmentation would make another policy of it at every look, and
    probabilities of different looks could not be compared.

    Attributes:
        reinforced: whether it samples its own responses: its loss is then a means to a gradient and need not fall.
        structure: how the policy is built.
        told: where the policy's weights came from.
        fresh: whether it is a run that begins, rather than one that is loaded to go on or to answer.

    Args:
        policy: the task of `run`; has to be a `stentor.interfaces.policy.Policy`.
        run: folder of the run that it came from.
        reference: what it is held to.
        reference_run: another run to be the frozen reference; empty: the policy as it began.
    """

    contract = "stentor_align.testing:TuningContract"
    roles: ClassVar[Mapping[str, str]] = {}
    reinforced: ClassVar[bool] = False
    structure: runs.Structure
    fresh: bool = True

    def __init__(self, policy: Any, *, run: str, reference: Mode = "none", reference_run: str = "") -> None:
        super().__init__()
        if reference == "adapters-off" and reference_run:
            raise StentorError("another run can only be a frozen reference.", path="task.reference_run",
                               value=reference_run)  # fmt: skip
        self.policy, self.run, self.reference_run = policy, run, reference_run
        self.reference_mode = reference
        self.reference = self._copied() if reference == "frozen" else None
        self.metrics = policy.metrics  # type: ignore[misc]
        self.capabilities = policy.capabilities & {"speaks"}  # type: ignore[misc]
        if self.capabilities:
            self.synthesise = self._said  # type: ignore[method-assign]
        self.told: dict[str, str] = {}
        self._parent: list[Any] = []

    def _copied(self) -> Any:
        """The frozen reference, with weights as they come."""
        if not self.reference_run:
            return reference.frozen(self.policy)
        found = runs.built(runs.structure_of(self.reference_run), self.reference_run)
        runs.same_tokens(self.policy, found, self.reference_run)
        return reference.frozen(found)

    @classmethod
    def assemble(
        cls,
        sections: Sections,
        *,
        texts: Sequence[str] | None = None,
        state: Mapping[str, Any] | None = None,
        run: str = "",
        **configured: Any,
    ) -> TuningTask:
        if not run:
            raise StentorError("it must name the run whose policy is tuned.", path="task.run")
        structure = runs.structure_of(run) if state is None else _saved(state)
        made = cls(runs.built(structure, run), run=run, **configured)
        made.structure, made.fresh = structure, state is None
        return made

    @classmethod
    def check(cls, sections: Sections, *, run: str = "", **configured: Any) -> list[Problem]:
        """What it has against its settings, built around the run's policy without weights (`checking.misfits`)."""
        return checking.misfits(cls, run, configured)

    @classmethod
    def check_recipe(cls, config: Mapping[str, Any]) -> list[Problem]:
        return checking.without_adapters(config)

    def load_pretrained(self) -> dict[str, str]:
        policy, self.told = runs.trained(self.run)
        _copy(policy, self.policy, self.run)
        if self.reference is not None:
            other = runs.trained(self.reference_run)[0] if self.reference_run else policy
            _copy(other, self.reference, self.reference_run or self.run)
        return self.told

    def train(self, mode: bool = True) -> TuningTask:
        super().train(mode)
        self.refresh()  # what is validated is the policy after its last step, too
        if self.reference is not None:
            self.reference.eval()
        if mode:
            self._parent = []  # validation's copy of the policy as it was; no memory is spent on it meanwhile
        return self

    def refresh(self) -> None:
        """Let the policy forget what it copied of its weights before the last step (see `CausalLM.train`)."""
        self.policy.train()
        self.policy.eval()

    def consulted(self) -> Any:
        """The reference, in a ``with`` block without gradient."""
        return reference.consulted(self.policy, self.reference)

    @contextmanager
    def origin(self) -> Iterator[Any | None]:
        """What samples are compared with in validation, in a ``with`` block without gradient.

        That is the reference or, where there is none, `reference_run` or else the policy as it began, which is read
        again and kept until training goes on; None where it is not there any more, which is said.
        """
        if self.reference_mode != "none":
            with self.consulted() as other:
                yield other
            return
        if not self._parent:
            self._parent = [self._read_again()]
        with torch.no_grad():
            yield self._parent[0]

    def _read_again(self) -> Any | None:
        named = self.reference_run or self.run
        try:
            policy, source = runs.trained(named)
            if named == self.run and source["sha256"] != self.told.get("sha256", source["sha256"]):
                raise StentorError("it was trained further meanwhile.")
        except StentorError as error:
            why = error.problems[0].message
            warnings.warn(
                f"the run '{named}' is not what it was: {why} Divergence and drift are not told.", stacklevel=2
            )
            return None
        device = next(self.policy.parameters()).device
        return policy.to(device).requires_grad_(False).eval()

    def nothing(self) -> Tensor:
        """A loss of 0 whose gradient is 0 for all that is trained: for a batch that has nothing to learn from."""
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.stack([parameter.sum() * 0 for parameter in trained]).sum()

    @property
    def sample_rate(self) -> int:
        rate: int = self.policy.sample_rate
        return rate

    def cached_encoder(self) -> Any:
        return self.policy.cached_encoder() if self.policy.hears else None

    def encoder_sections(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the policy: what it has heard already is not encoded again."""
        found: dict[str, Any] = self.policy.encoder_sections(self.structure[0])
        return found

    def state(self) -> dict[str, Any]:
        return {"policy": {"config": self.structure[0], "state": self.policy.state()}}

    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        found: list[str] = self.policy.predict(batch)
        return found

    def _said(self, batch: Mapping[str, Any]) -> list[Tensor]:
        """`synthesise` of a policy that speaks."""
        found: list[Tensor] = self.policy.synthesise(batch)
        return found

    def statistics(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.policy.statistics()
        return found

    def align(self, batch: Mapping[str, Any], outputs: Sequence[str]) -> Any:
        return self.policy.align(batch, outputs)

    def tuned(
        self,
        value: Tensor | None,
        units: int,
        parts: Mapping[str, float | Tensor],
        counts: Mapping[str, int] | None = None,
    ) -> Loss:
        """A loss with its parts as numbers; `value` None stands for nothing to learn from, which no average counts."""
        plain = {
            name: float(part.detach()) if isinstance(part, Tensor) else float(part) for name, part in parts.items()
        }
        if value is None:
            return Loss(self.nothing(), max(units, 1), plain, {"loss": 0, **(counts or {})})
        return Loss(value, max(units, 1), plain, dict(counts or {}))


def _saved(state: Mapping[str, Any]) -> runs.Structure:
    """The policy's structure in the state of a tuning run."""
    if "policy" not in state:
        told = "a tuning task can begin with the weights of a tuning run alone; the run to tune is named in task.run."
        raise StentorError(told, path="train.initialise")
    return dict(state["policy"]["config"]), dict(state["policy"]["state"])


@torch.no_grad()
def _copy(source: Task, target: Any, run: str) -> None:
    """Copy every tensor of one policy into another of the same shape."""
    own, given = weights.tensors(target), weights.tensors(source)
    for name, tensor in own.items():
        if name not in given or given[name].shape != tensor.shape:
            raise StentorError(
                f"the run '{run}' has no tensor '{name}' of shape {tuple(tensor.shape)}.", path="task.run"
            )
        tensor.copy_(given[name])
