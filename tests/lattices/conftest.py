"""The lane's figures, at the end of its output."""

import pytest

FIGURES = []


@pytest.fixture
def measured():
    """Called with what was compared and the largest absolute difference that was found."""
    return lambda what, difference: FIGURES.append(f"measured: {what}: largest absolute difference {difference:.2e}")


def pytest_terminal_summary(terminalreporter):
    for line in FIGURES:
        terminalreporter.write_line(line)
