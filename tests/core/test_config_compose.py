"""Recipes: composed, completed, checked, and every problem told at once."""

import dataclasses

import fakes
import pytest

from stentor.config import Recipe, compose, expand
from stentor.errors import StentorError


def test_every_default_is_filled_in(kitchen) -> None:
    recipe = kitchen.cook()
    assert (recipe.name, recipe.task, recipe.seed) == ("fake/basic", "talk", 3)
    assert recipe.task_settings == {"weight": 0.5}
    assert list(recipe.sections) == ["encoder", "text"]
    assert recipe.sections["text"] == {"name": "words", "lowercase": True}
    assert (recipe.sections["encoder"]["dim"], recipe.sections["encoder"]["rates"]) == (256, (8, 16.0))
    assert list(recipe.config) == ["name", "seed", "task", "encoder", "text", "data", "train", "evaluate"]
    train = recipe.settings("train")
    assert dataclasses.is_dataclass(train)
    assert train.minutes == 5.0


def test_settings_are_dataclasses_all_the_way_down(kitchen) -> None:
    train = kitchen.cook("train.groups=[{match: 'encoder.*', lr: 2}]").settings("train")
    assert (train.groups[0].match, train.groups[0].lr, train.groups[0].weight_decay) == ("encoder.*", 2.0, None)


SWAPS = ("text=letters", "tokenizer@text=letters", "tokenizer=letters", "text.name=letters", "+text=letters",
         "++tokenizer@text=letters", "text={name: letters}")  # fmt: skip


def test_a_role_is_swapped_with_settings(kitchen) -> None:
    for words in (["tokenizer@text={name: words, lowercase: false}"], ["tokenizer={lowercase: false}"]):
        assert kitchen.cook(*words).sections["text"] == {"name": "words", "lowercase": False}


def test_versioned_and_numeric_names(kitchen) -> None:
    for name in ("small.v2", "3", "null", "1e3", "a-b_c"):
        plugins = kitchen.plugins()
        plugins.registry.encoder(name, "fakes:Small")
        assert compose("fake/basic", [f"encoder='{name}'"], plugins=plugins).sections["encoder"]["name"] == name
        again = f"defaults: [{{task: talk}}, {{encoder: '{name}'}}, {{tokenizer@text: words}}]"
        plugins = kitchen.plugins(again=again)
        plugins.registry.encoder(name, "fakes:Small")
        assert compose("fake/again", plugins=plugins).sections["encoder"]["name"] == name


@pytest.mark.parametrize("override", SWAPS)
def test_a_role_is_swapped_from_the_command_line(kitchen, override: str) -> None:
    assert kitchen.cook(override).sections["text"] == {"name": "letters"}


def test_settings_of_one_component_do_not_carry_over_to_another(kitchen) -> None:
    swapped = kitchen.cook("encoder=large", "encoder.layers=3").sections["encoder"]
    assert swapped == {"name": "large", "layers": 3, "dim": 512}
    again = kitchen.cook("encoder=small").sections["encoder"]
    assert (again["dim"], again["frozen"]) == (256, True)


def test_a_task_is_swapped_with_its_roles(kitchen) -> None:
    recipe = kitchen.cook(recipe="fake/other", other="""
        defaults: [{task: speak}, {tokenizer@text: words}, {tokenizer@audio: letters}, {reward@judge: rule}]
        """)  # fmt: skip
    assert recipe.sections == {"text": {"name": "words", "lowercase": True}, "audio": {"name": "letters"},
                               "judge": {"name": "rule", "weight": 1.0}}  # fmt: skip


def test_a_recipe_extends_another(kitchen) -> None:
    child = "defaults: [fake/basic, {encoder: large}]\nencoder: {layers: 2}\ntrain: {lr: 1e-2}"
    recipe = kitchen.cook(recipe="fake/child", child=child)
    assert recipe.sections["encoder"] == {"name": "large", "layers": 2, "dim": 512}
    assert (recipe.config["train"]["minutes"], recipe.config["train"]["lr"], recipe.seed) == (5.0, 0.01, 3)
    assert kitchen.cook("encoder=small", recipe="fake/child", child=child).sections["encoder"]["dim"] == 256


def test_a_file_extends_its_neighbour(kitchen, tmp_path) -> None:
    (tmp_path / "base.yaml").write_text(fakes.BASIC)
    (tmp_path / "mine.yaml").write_text("defaults: [base, _self_]\nseed: 8")
    assert kitchen.cook(recipe=str(tmp_path / "mine.yaml")).seed == 8
    assert kitchen.cook(recipe=str(tmp_path / "mine.yaml")).name == "mine"


def test_self_says_who_wins(kitchen) -> None:
    first = "defaults: [_self_, fake/basic]\nseed: 8\ndata: {valid: v}"
    assert kitchen.cook(recipe="fake/first", first=first).seed == 3
    assert kitchen.cook(recipe="fake/first", first=first).config["data"]["valid"] == "v"


def test_components_named_in_the_body(kitchen) -> None:
    recipe = kitchen.cook(recipe="fake/body", body="task: talk\nencoder: {name: small, dim: 8}\ntext: letters")
    assert (recipe.sections["encoder"]["dim"], recipe.sections["text"]) == (8, {"name": "letters"})


def test_interpolation_of_other_keys(kitchen) -> None:
    recipe = kitchen.cook("train.steps=${seed}", "data.valid=a-${.train}-${train.lr}", "data.cache_folder=\\${x}")
    assert recipe.config["train"]["steps"] == 3
    assert recipe.config["data"]["valid"] == "a-some.jsonl.gz-0.001"


def test_values_of_the_command_line(kitchen) -> None:
    words = ["train.betas=[0.5,0.9]", "+train.lr=1e-4", "++seed=9", "evaluate.sets={a: b}", "+evaluate.sets.c=d"]
    config = kitchen.cook(*words, "~train.minutes").config
    assert (config["train"]["betas"], config["train"]["lr"], config["seed"]) == ([0.5, 0.9], 1e-4, 9)
    assert (config["evaluate"]["sets"], config["train"]["minutes"]) == ({"a": "b", "c": "d"}, 0.0)


def test_a_recipe_goes_through_yaml_unchanged(kitchen, tmp_path) -> None:
    recipe = kitchen.cook("data.valid='1e3'", "data.cache_folder='no'", "encoder.weights='null'")
    path = tmp_path / "config.yaml"
    path.write_text(recipe.to_yaml())
    assert Recipe.from_file(path, fakes.registry()) == recipe
    assert Recipe.from_dict(recipe.config, fakes.registry()) == recipe


def test_expand_gives_every_combination() -> None:
    assert expand(["encoder=a,b", "x=1", "seed=range(1,3)"]) == [
        ("encoder=a", "x=1", "seed=1"), ("encoder=a", "x=1", "seed=2"),
        ("encoder=b", "x=1", "seed=1"), ("encoder=b", "x=1", "seed=2"),
    ]  # fmt: skip
    assert expand([]) == [()]
    for words in (["encoder"], ["lr=interval(0,1)"], ["encoder=glob(*)"]):
        with pytest.raises(StentorError):
            expand(words)


def test_any_hydra_application_can_use_the_source() -> None:
    from hydra import compose as hydra_compose
    from hydra import initialize

    from stentor.config.source import Served, serving

    with serving(Served(fakes.registry())), initialize(config_path=None, version_base="1.3"):
        words = ["hydra.searchpath=[stentor://]", "+encoder=small", "+tokenizer@text=words", "encoder.dim=7"]
        config = hydra_compose(None, words)
    assert (config.encoder.name, config.encoder.dim, config.encoder.rates) == ("small", 7, [8, 16.0])
    assert config.text == {"name": "words", "lowercase": True}


def test_the_source_lists_kinds_and_components() -> None:
    from hydra.core.object_type import ObjectType

    from stentor.config.source import Served, StentorSource, serving

    with serving(Served(fakes.registry())):
        source = StentorSource("test", "stentor://")
    assert source.list("", ObjectType.GROUP) == sorted(fakes.KINDS)
    assert source.list("tokenizer", ObjectType.CONFIG) == ["letters", "words"]
    assert source.list("tokenizer", ObjectType.GROUP) == source.list("nothing", None) == []
    assert (source.is_group("encoder"), source.is_config("encoder/small"), source.is_config("encoder/x")) == (1, 1, 0)
