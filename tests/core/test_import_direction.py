"""Imports point one way: plugins import the core, the core imports no plugin, and no plugin imports another."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.parent for path in ROOT.glob("plugins/*/stentor_*/__init__.py"))


def imported(file: Path) -> Iterator[str]:
    """Top-level packages that a file imports anywhere, also by name in ``import_module`` and registry targets."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("stentor_"):
            yield node.value.partition(":")[0].partition(".")[0]


def plugins_imported(folder: Path) -> dict[str, set[str]]:
    names = {package.name for package in PACKAGES}
    files = [file for file in folder.rglob("*.py") if "build" not in file.parts]
    assert files
    return {str(file.relative_to(ROOT)): found for file in files if (found := names & set(imported(file)))}


def test_there_are_plugins_to_check() -> None:
    assert "stentor_asr" in {package.name for package in PACKAGES}


def test_the_core_imports_no_plugin() -> None:
    assert plugins_imported(ROOT / "core" / "stentor") == {}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_no_plugin_imports_another(package: Path) -> None:
    others = {file: found - {package.name} for file, found in plugins_imported(package).items()}
    assert {file: found for file, found in others.items() if found} == {}


def test_the_check_sees_an_import(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text(
        "def f():\n    from stentor_asr.encoder import X\n    import stentor_tts\n    g('stentor_duplex.a:B')\n"
    )
    assert {"stentor_asr", "stentor_tts", "stentor_duplex"} <= set(imported(file))
