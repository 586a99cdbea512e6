"""The pytest side of the kit: expected failures, and one line instead of a traceback. Loads no torch."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from stentor.testing.outcome import ContractFailure


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every check named in a contract's ``expected_failed`` as a strict xfail.

    Raises:
        pytest.UsageError: when a contract expects a check to fail that it does not have.
    """
    for item in items:
        contract: Any = getattr(item, "cls", None)
        if not getattr(contract, "is_stentor_contract", False):
            continue
        unknown = [name for name in contract.expected_failed if not hasattr(contract, f"test_{name}")]
        if unknown:
            raise pytest.UsageError(
                f"{contract.__name__}.expected_failed names '{unknown[0]}', which is no check of its contract."
            )
        reason = contract.expected_failed.get(item.name.partition("[")[0].removeprefix("test_"))
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a broken contract as its one line: the kit's own frames say nothing about the component."""
    report = yield
    if report.failed and call.excinfo is not None and isinstance(call.excinfo.value, ContractFailure):
        report.longrepr = str(call.excinfo.value)
    return report
