"""A recipe from a stranger picks components; it cannot name code, read the environment or leave its folder."""

import os
from pathlib import Path

import fakes
import pytest

from stentor.config import Recipe, compose
from stentor.errors import StentorError

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
ATTACKS = {
    "target": ("encoder: {_target_: os.system, command: 'touch MARK'}", "never names code"),
    "target at the top": ("_target_: os.system", "never names code"),
    "target in a list": ("train: {groups: [{match: x, _target_: os.system}]}", "never names code"),
    "recursive": ("encoder: {_recursive_: true}", "never names code"),
    "python object": ("encoder: !!python/object/apply:os.system ['touch MARK']", "is refused"),
    "python name": ("seed: !!python/name:os.system", "is refused"),
    "python module": ("seed: !!python/module:os", "is refused"),
    "python tuple as key": ("? !!python/tuple [1, 2]\n: 3", "a key must be a plain word"),
    "own tag": ("encoder: !new:os.system {}", "is refused"),
    "environment": ("data: {train: '${oc.env:HOME}'}", "calls a resolver"),
    "nested environment": ("data: {train: 'x${oc.env:${name}}'}", "calls a resolver"),
    "select": ("data: {train: '${oc.select:seed}'}", "calls a resolver"),
    "eval": ("data: {train: \"${eval:'1+1'}\"}", "calls a resolver"),
    "hydra resolver": ("data: {train: '${hydra:runtime.cwd}'}", "calls a resolver"),
    "import path as a name": ("encoder: {name: 'os:system'}", "there is no encoder"),
    "path as a name": ("encoder: {name: ../../etc/passwd}", "there is no encoder"),
    "search path": ("hydra: {searchpath: ['pkg://marker']}", "cannot configure Hydra"),
    "launcher": ("hydra: {launcher: {_target_: os.system}}", "cannot configure Hydra"),
    "anchors that unfold": (BOMB, "unfold into too much"),
    "endless anchor": ("a: &a {b: *a}", "nested too deeply"),
}
DEFAULTS = {
    "path upwards": ("../secret", "is refused"),
    "path upwards with suffix": ("x/../../secret.yaml", "is refused"),
    "absolute path": ("/etc/passwd", "is refused"),
    "hydra": ({"override hydra/launcher": "joblib"}, "there is no role 'hydra/launcher'"),
    "resolver": ({"encoder": "${oc.env:HOME}"}, "there is no encoder"),
    "component path": ({"encoder": "../small"}, "there is no encoder"),
    "package": ("pkg://os", "there is no recipe"),
    "link outwards": ("link", "there is no recipe"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder beside a secret, where nothing may be made, with a module that must not be imported."""
    (tmp_path / "secret.yaml").write_text("task: talk\nseed: 4242\n")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (tmp_path / "work" / "marker.py").write_text("open('MARK', 'w')")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.syspath_prepend(tmp_path / "work")
    return tmp_path / "work"


def refused(folder: Path, text: str, *overrides: str) -> str:
    recipe = folder / "attack.yaml"
    recipe.write_text(text)
    with pytest.raises(StentorError) as caught:
        compose(str(recipe), overrides, plugins=fakes.plugins(folder / "recipes"))
    assert not (folder / "MARK").exists()
    message = str(caught.value)
    assert os.environ["HOME"] not in message.replace(str(folder), "")
    assert "4242" not in message
    return message


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_cannot_run_code_or_look_around(folder: Path, attack: str) -> None:
    text, reason = ATTACKS[attack]
    assert reason in refused(folder, text)


@pytest.mark.parametrize("attack", DEFAULTS)
def test_a_defaults_list_stays_in_its_folder(folder: Path, attack: str) -> None:
    entry, reason = DEFAULTS[attack]
    assert reason in refused(folder, f"defaults: [{{task: talk}}, {entry!r}]")


@pytest.mark.parametrize(
    "override",
    ["encoder._target_=os.system", "+_target_=os.system", "++encoder._target_=os.system", "train={_target_: os.system}",
     "data.train=${oc.env:HOME}", "data.train=${hydra:runtime.cwd}", "encoder=${oc.env:HOME}", "hydra.searchpath=[pkg://marker]",
     "+hydra.run.dir=MARK", "hydra/launcher=joblib", "hydra.launcher._target_=os.system", "encoder=../small",
     "+recipe=../secret", "encoder/../recipe=file0", "seed=${now:%Y}"],
)  # fmt: skip
def test_an_override_cannot_either(folder: Path, override: str) -> None:
    good = "task: talk\nencoder: small\ntext: words\n"
    (folder / "good.yaml").write_text(good)
    assert compose(str(folder / "good.yaml"), plugins=fakes.plugins(folder / "recipes")).seed == 0
    assert refused(folder, good, override)


@pytest.mark.parametrize(
    "recipe", ["fake/../secret", "../secret", "fake/../../secret", "/etc/passwd", "fake/basic/..", "~"]
)
def test_recipe_names_are_no_paths(folder: Path, recipe: str) -> None:
    with pytest.raises(StentorError, match="there is no recipe"):
        compose(recipe, plugins=fakes.plugins(folder / "recipes"))


def test_the_configuration_of_a_run_is_checked_alike(folder: Path) -> None:
    plugins = fakes.plugins(folder / "recipes")
    good = compose("fake/basic", plugins=plugins).config
    for bad in ({**good, "_target_": "os.system"}, {**good, "encoder": {**good["encoder"], "_target_": "os.system"}}):
        with pytest.raises(StentorError, match="never names code"):
            Recipe.from_dict(bad, plugins.registry)
    path = folder / "config.yaml"
    path.write_text("seed: !!python/object/apply:os.system ['touch MARK']")
    with pytest.raises(StentorError, match="is refused"):
        Recipe.from_file(path, plugins.registry)
    assert not (folder / "MARK").exists()
