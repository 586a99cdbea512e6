"""What only lists and helps imports nothing heavy."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "lightning", "transformers", "hydra", "omegaconf", "lhotse", "numpy", "yaml", "peft", "mlflow")
PROBE = """
import json, sys
{code}
print(json.dumps(sorted(set({heavy!r}) & set(sys.modules))))
"""


def heavy_after(code: str) -> list[str]:
    command = [sys.executable, "-c", PROBE.format(code=code, heavy=HEAVY)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("STENTOR_")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "words",
    [[], ["--help"], ["--version"], ["list"], ["list", "--json"], ["list", "recipes"], ["list", "plugins"],
     ["list", "verbs"], ["list", "kinds"], ["list", "encoder"]],
    ids=" ".join,
)  # fmt: skip
def test_verbs_that_only_look(words: list[str]) -> None:
    assert heavy_after(f"import stentor.cli; assert stentor.cli.main({words!r}) == 0") == []


def test_hook_modules_of_all_plugins() -> None:
    code = "from stentor.plugins import load; found = load(); assert not found.failures, found.failures"
    assert heavy_after(code) == []


def test_settings_read_no_torch() -> None:
    code = "from stentor.config import structure\nfor name in structure.SETTINGS: structure.settings_class(name)"
    assert set(heavy_after(code)) <= {"yaml"}


def test_validate_leaves_the_slow_libraries_alone() -> None:
    code = "import stentor.cli; stentor.cli.main(['validate', '--all'])"
    assert not {"lightning", "transformers", "lhotse", "peft", "mlflow"} & set(heavy_after(code))
