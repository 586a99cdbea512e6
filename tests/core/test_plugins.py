"""Plugins of strangers: whatever they do, one line says whose fault it is, and everything else works."""

from pathlib import Path

import fakes
import pytest

from stentor import plugins
from stentor.errors import StentorError

GOOD = """
import stentor
@stentor.hookimpl
def stentor_kinds(registry):
    registry.kind("gauge", "good_hooks:X", "measures")
@stentor.hookimpl
def stentor_register(registry):
    registry.encoder("good", "good_hooks:X")
    registry.gauge("fast", "good_hooks:X")
"""
REGISTER = "import stentor\n@stentor.hookimpl\ndef stentor_register(registry):\n    "
FAULTS = {
    "fails to import": ("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
    "leaves at import": ("raise SystemExit(3)", "SystemExit: 3"),
    "has a syntax error": ("def f(:\n  pass", "SyntaxError"),
    "registers a taken name": (REGISTER + "registry.encoder('good', 'a:b')", "registered twice: by plugin 'good'"),
    "registers an unknown kind": (REGISTER + "registry.add('encodr', 'x', 'a:b')", "Did you mean 'encoder'?"),
    "calls an unknown kind": (REGISTER + "registry.encodr('x', 'a:b')", "did you mean 'encoder'?"),
    "registers no import string": (REGISTER + "registry.encoder('x', 3)", "must be an import string"),
    "fails half-way": (REGISTER + "registry.encoder('half', 'a:b'); 1 / 0", "ZeroDivisionError"),
    "implements an unknown hook": (
        "import stentor\n@stentor.hookimpl\ndef stentor_regster(registry): pass",
        "hook 'stentor_regster', which does not exist. Did you mean 'stentor_register'?",
    ),
    "has wrong hook arguments": (
        "import stentor\n@stentor.hookimpl\ndef stentor_register(registry, more): pass",
        "{'more'} are declared in the hookimpl but can not be found in the hookspec",
    ),
    "forgets the mark": ("def stentor_register(registry): pass", "not marked with '@stentor.hookimpl'"),
    "has no recipe folder": (
        "import stentor\n@stentor.hookimpl\ndef stentor_recipes(): return '/no/such/folder'",
        "recipe folder '/no/such/folder' does not exist",
    ),
    "returns no recipe folder": (
        "import stentor\n@stentor.hookimpl\ndef stentor_recipes(): return 3",
        "TypeError",
    ),
    "takes a verb": (
        "import stentor\n@stentor.hookimpl\ndef stentor_verbs(verbs): verbs.add('list', 'a', 'b')",
        "verb 'list'",
    ),
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("STENTOR_PLUGINS", "STENTOR_STRICT", "STENTOR_TRACE"):
        monkeypatch.delenv(name, raising=False)
    fakes.distribution(tmp_path, "good", GOOD)
    return tmp_path


def load(folder: Path) -> plugins.Plugins:
    return plugins.load(fakes.points(folder))


@pytest.mark.parametrize("fault", FAULTS)
def test_one_line_names_the_culprit_and_the_rest_works(fault: str, folder: Path, monkeypatch) -> None:
    hooks, reason = FAULTS[fault]
    fakes.distribution(folder, f"x-{fault.replace(' ', '-')}", hooks)
    without = plugins.load([point for point in fakes.points(folder) if point.name == "good"])
    found = load(folder)
    assert len(found.failures) == 1
    line = str(found.failures[0])
    assert "\n" not in line
    assert line.startswith(
        f"plugin 'x-{fault.replace(' ', '-')}' (stentor-x-{fault.replace(' ', '-')} 2.5) is left out: "
    )
    assert reason in line
    assert list(found.registry.entries()) == list(without.registry.entries())
    assert (found.verbs.table, found.recipes, found.loaded) == (without.verbs.table, without.recipes, without.loaded)
    monkeypatch.setenv("STENTOR_STRICT", "1")
    with pytest.raises(StentorError, match="is left out"):
        load(folder)


def test_entry_point_without_module_or_attribute(folder: Path) -> None:
    fakes.distribution(folder, "nowhere", "", entry="no_such_hooks")
    fakes.distribution(folder, "lost", "", entry="lost_hooks:hooks")
    fakes.distribution(folder, "garbled", "", entry="not an entry point")
    found = load(folder)
    assert [failure.origin.plugin for failure in found.failures] == ["garbled", "lost", "nowhere"]
    assert "good" in found.registry.names("encoder")


def test_two_distributions_cannot_share_an_entry_point(folder: Path) -> None:
    fakes.distribution(folder, "double", REGISTER + "registry.encoder('double', 'a:b')", plugin="good")
    found = load(folder)
    assert [origin.plugin for origin in found.loaded] == ["stentor", "good"]
    assert "entry point 'good' is taken by plugin 'good'" in str(found.failures[0])


def test_two_entry_points_cannot_share_a_module(folder: Path) -> None:
    fakes.distribution(folder, "again", "", entry="good_hooks", plugin="hello")
    found = load(folder)
    assert "'good_hooks' is already loaded by another entry point" in str(found.failures[0])
    assert "good" in found.registry.names("encoder")


def test_a_further_kind_gets_the_same_treatment(folder: Path) -> None:
    found = load(folder)
    entry = found.registry.get("gauge", "fast")
    assert (entry.origin.plugin, entry.origin.distribution, entry.origin.version) == ("good", "stentor-good", "2.5")


@pytest.mark.parametrize(("allowed", "loaded"), [("", []), ("good", ["good"]), ("Stentor_Good", ["good"]), ("x", [])])
def test_allow_list(folder: Path, monkeypatch, allowed: str, loaded: list[str]) -> None:
    monkeypatch.setenv("STENTOR_PLUGINS", allowed)
    found = load(folder)
    assert [origin.plugin for origin in found.loaded] == ["stentor", *loaded]
    assert [failure.origin.plugin for failure in found.failures] == (["x"] if allowed == "x" else [])


def test_trace_prints_every_hook_call(folder: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("STENTOR_TRACE", "1")
    load(folder)
    assert "stentor trace: stentor_register -> good" in capsys.readouterr().err


def test_what_is_registered_later_is_not_blamed_on_a_plugin(folder: Path) -> None:
    found = load(folder)
    found.registry.encoder("mine", "a:b")
    assert "good" not in str(found.registry.get("encoder", "mine").origin)


def test_recipes_are_named_after_the_plugin(folder: Path) -> None:
    recipes = folder / "recipes"
    recipes.mkdir()
    (recipes / "one.yaml").write_text("")
    (recipes / "note.txt").write_text("")
    hooks = f"import stentor\n@stentor.hookimpl\ndef stentor_recipes(): return {str(recipes)!r}"
    fakes.distribution(folder, "cook", hooks)
    assert load(folder).recipes == {"cook/one": recipes / "one.yaml"}


def test_the_program_stands_and_says_it_once(tmp_path) -> None:
    fakes.distribution(tmp_path, "bad", "raise SystemExit(1)")
    done = fakes.stentor("list", path=tmp_path)
    assert done.returncode == 0
    assert [line for line in done.stderr.splitlines() if "stentor-bad 2.5" in line] == done.stderr.splitlines()
    assert len(done.stderr.splitlines()) == 1
    assert "wer" in done.stdout
    assert "left out" in fakes.stentor("list", "plugins", path=tmp_path).stdout
    strict = fakes.stentor("list", path=tmp_path, STENTOR_STRICT="1")
    assert (strict.returncode, len(strict.stderr.splitlines())) == (2, 1)
