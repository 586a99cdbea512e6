"""The contract of weight packages."""

from __future__ import annotations

import re
from typing import Any

from stentor.testing.contract import ComponentContract


class WeightsContract(ComponentContract):
    """Checks for packages of pretrained weights; what needs the package itself is skipped where it is absent."""

    kind = "weights"

    def present(self) -> Any:
        """An instance whose package is installed."""
        package = self.build()
        if not package.installed():
            self.skip(f"its package is not installed; {self.component_class.install}")
        return package

    def test_declared(self) -> None:
        """It names what it serves, its distribution and how to install it."""
        found = self.component_class
        for name in ("serves", "distribution", "install"):
            self.demand(bool(getattr(found, name, None)), f"it does not declare '{name}'.")
        self.demand(isinstance(self.build().installed(), bool), "installed() is no bool.")

    def test_provenance(self) -> None:
        """It says in one line where the weights are, and their SHA-256."""
        package = self.present()
        self.demand(package.distribution in package.describe(), f"describe() gives '{package.describe()}'.")
        digest = package.sha256()
        self.demand(bool(re.fullmatch(r"[0-9a-f]{64}", digest)), f"sha256() gives {digest!r}.")

    def test_content(self) -> None:
        """There are a configuration and tensors; a prefix selects and is taken off; what is absent is None or empty."""
        package = self.present()
        self.demand(bool(package.json("config.json")), "config.json is empty.")
        self.demand(package.json("no-such-file.json") == {}, "a file that it has not is not empty.")
        self.demand(package.file("no-such-file") is None, "a file that it has not has a path.")
        names = list(package.state_dict())
        self.demand(bool(names), "it holds no tensors.")
        prefix = names[0].partition(".")[0] + "."
        due = sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))
        self.demand(sorted(package.state_dict(prefix)) == due, f"prefix '{prefix}' does not select its tensors.")
