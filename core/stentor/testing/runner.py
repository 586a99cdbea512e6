"""Running a contract without pytest."""

from __future__ import annotations

import importlib
import inspect
import time
import traceback
import unittest
from typing import Any

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.registry import Entry
from stentor.testing.contract import ComponentContract
from stentor.testing.outcome import ContractFailure, Outcome, Result

_CONTRACTS = {
    "adapter": "AdapterContract",
    "backbone": "BackboneContract",
    "codec": "CodecContract",
    "corpus": "CorpusContract",
    "decoder": "DecoderContract",
    "drafter": "DrafterContract",
    "encoder": "EncoderContract",
    "itn": "InverseNormaliserContract",
    "metric": "MetricContract",
    "normaliser": "NormaliserContract",
    "reward": "RewardContract",
    "task": "TaskContract",
    "tn": "TextNormaliserContract",
    "tokenizer": "TokenizerContract",
    "vad": "VadContract",
    "voice": "VoiceContract",
    "weights": "WeightsContract",
}


def contract_for(kind: str, name: str = "") -> type[ComponentContract]:
    """The contract of `kind`: ours, or what the interface of a plugin's kind names as ``contract``.

    A kind without either gets the checks that hold for every component. An interface below that of a kind of ours may
    name a contract of its own (as `AudioMetric` does); components `name` that implement it get that one.

    Raises:
        StentorError: when there is no such kind, or the contract that its plugin names cannot be used.
    """
    declared = registry().check_kind(kind)
    found: type[ComponentContract]
    own = registry().get(kind, name).load() if name and kind in _CONTRACTS else None
    if target := getattr(own, "contract", ""):
        found = Entry(kind, "contract", target, declared.origin).load()
        return found
    if kind in _CONTRACTS:
        found = getattr(importlib.import_module(f"stentor.testing.{kind}"), _CONTRACTS[kind])
        return found
    target = getattr(Entry(kind, "interface", declared.interface, declared.origin).load(), "contract", "")
    if target:
        found = Entry(kind, "contract", target, declared.origin).load()
        if not (inspect.isclass(found) and issubclass(found, ComponentContract) and found.kind == kind):
            raise StentorError(
                f"{declared.origin} names '{target}' as the contract of kind '{kind}', and that is none."
            )
        return found
    return type(f"{kind.title()}Contract", (ComponentContract,), {"kind": kind})


def check(kind: str, name: str, **config: Any) -> list[Result]:
    """Run every check of the contract on component `name` of `kind`, built with `config`.

    Raises:
        StentorError: when there is no such component, or it has no such option.
    """
    _check_options(kind, name, config)
    return run_contract(type(f"Test_{name}", (contract_for(kind, name),), {"name": name, "config": config}))


def _check_options(kind: str, name: str, config: dict[str, Any]) -> None:
    parameters = inspect.signature(registry().get(kind, name).load()).parameters.values()
    options = [parameter.name for parameter in parameters if parameter.kind == parameter.KEYWORD_ONLY]
    for key in config:
        if key not in options:
            raise StentorError(f"{kind} '{name}' has no option '{key}'.", value=key, options=options)


def run_contract(contract: type[ComponentContract]) -> list[Result]:
    """Run every check of `contract`, a class with a name, in the order of definition, base class first."""
    names = dict.fromkeys(
        name for base in reversed(contract.__mro__) for name in vars(base) if name.startswith("test_")
    )
    return [_run(contract, name) for name in names if callable(getattr(contract, name))]


def _run(contract: type[ComponentContract], method: str) -> Result:
    instance, began = contract(), time.perf_counter()
    bound = getattr(instance, method)
    name = method.removeprefix("test_")
    outcome: Outcome = "passed"
    reason = ""
    try:
        instance.setup_method(bound)
        bound()
    except unittest.SkipTest as skipped:
        outcome, reason = "skipped", str(skipped)
    except ContractFailure as failure:
        outcome, reason = "failed", str(failure)
    except Exception as error:  # whatever a component raises is the finding
        outcome, reason = "failed", _told(instance, name, error)
    expected = contract.expected_failed.get(name)
    if expected is not None and outcome == "failed":
        outcome, reason = "expected", expected
    elif expected is not None and outcome == "passed":
        outcome, reason = "failed", f"it was declared to fail ({expected}) and passes; remove it from expected_failed."
    return Result(contract.kind, contract.name, name, outcome, reason, time.perf_counter() - began)


def _told(instance: ComponentContract, check: str, error: Exception) -> str:
    at = traceback.extract_tb(error.__traceback__)[-1]
    words = (str(error).strip().splitlines() or [""])[0]
    return (f"{instance.kind} '{instance.name}' fails {check}: {type(error).__name__}: {words} "
            f"({at.filename}:{at.lineno})")  # fmt: skip
