"""Check this environment and say how to mend it; --fix mends what can be mended safely."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from stentor.cli import checkup
from stentor.cli.checkup import Finding

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    checkup.python,
    checkup.torch,
    checkup.torchaudio,
    checkup.transformers,
    checkup.plugins,
    checkup.disk,
    checkup.extras,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--fix", action="store_true", help="mend what can be mended, then check again")


def run(arguments: argparse.Namespace) -> int:
    """Print every finding, and return 1 when something is broken."""
    findings = [finding for check in CHECKS for finding in check()]
    if arguments.fix:
        mended = [finding.fix() for finding in findings if finding.fix is not None]
        print("\n".join(f"mended   {what}" for what in mended) or "mended   nothing: nothing could be mended here")
        findings = [finding for check in CHECKS for finding in check()]
    for finding in findings:
        print(f"{finding.state:<8} {finding.what}")
        if finding.mend:
            print(f"         {finding.mend}")
    broken = sum(finding.state == "broken" for finding in findings)
    print(f"\n{broken} broken" if broken else "\nready")
    return 1 if broken else 0
