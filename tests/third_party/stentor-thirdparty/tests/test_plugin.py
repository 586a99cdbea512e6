"""The plugin as a whole: only public names, and every part swapped in by an override alone."""

import ast
from pathlib import Path

import pytest
import stentor_thirdparty

from stentor.config import compose

SOURCES = sorted(Path(stentor_thirdparty.__file__).parent.glob("*.py"))
SWAPS = {"encoder": "sinc", "adapter": "gated", "backbone": "renormed"}


def test_own_recipe_is_sound():
    recipe = compose("thirdparty/keywords")
    assert recipe.sections["encoder"]["name"] == "sinc"
    assert not recipe.misfits()


@pytest.mark.parametrize("role", SWAPS)
def test_an_override_swaps_it_into_a_foreign_recipe(role):
    pytest.importorskip("stentor_asr", reason="the recipe is that of stentor-asr")
    before, after = compose("asr/speechlm"), compose("asr/speechlm", [f"{role}={SWAPS[role]}"])
    assert before.sections[role]["name"] != after.sections[role]["name"] == SWAPS[role]
    assert not after.misfits()


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_uses_public_names_only(source):
    imported = [
        (node.module, name.name)
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
        if node.module.startswith("stentor")
    ]
    private = [pair for pair in imported if any(part.startswith("_") for part in ".".join(pair).split("."))]
    assert not private
    assert not [pair for pair in imported if pair[0].startswith("stentor_asr")]
