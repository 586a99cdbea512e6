"""Recipes with faults: every problem at once, with its place, options and near match."""

import fakes
import pytest

WRONG = {
    "unknown key": (("train.stepz=3",), "train.stepz", "steps"),
    "unknown key with +": (("+train.stepz=3",), "train.stepz", "steps"),
    "unknown key with ++": (("++train.stepz=3",), "train.stepz", "steps"),
    "unknown section": (("trainn.steps=3",), "trainn", "train"),
    "unknown section with +": (("+trainn=3",), "trainn", "train"),
    "unknown component": (("encoder=smal",), "encoder", "small"),
    "unknown component with +": (("+encoder=smal",), "encoder", "small"),
    "unknown role": (("encodr=small",), "encodr", "encoder"),
    "unknown role of a kind": (("tokenizer@txt=words",), "tokenizer@txt", "tokenizer@text"),
    "role of the wrong kind": (("encoder@text=small",), "encoder@text", None),
    "wrong type": (("train.steps=ten",), "train.steps", None),
    "wrong type of a component": (("encoder.dim=wide",), "encoder.dim", None),
    "unknown setting of a component": (("encoder.dimm=3",), "encoder.dimm", "dim"),
    "unknown setting of a swapped one": (("encoder=large", "encoder.layers=1", "encoder.act=a"), "encoder.act", None),
    "missing value": (("encoder=large",), "encoder.layers", None),
    "name that is no word": (("task.name=[]",), "task.name", None),
    "role left empty": (("~encoder",), "encoder", None),
    "task left empty": (("~task",), "task", None),
    "value out of range": (("evaluate.bootstrap=3",), "evaluate", None),
    "sweep": (("encoder=small,large",), "encoder", None),
    "not an override": (("encoder",), "", None),
    "deleted, but not there": (("~train.x",), "train.x", None),
    "interpolation of nothing": (("train.steps=${sed}",), "train.steps", None),
    "interpolation in a circle": (("train.steps=${train.log_every}", "train.log_every=${train.steps}"),
                                  "train.log_every", None),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_overrides(kitchen, case: str) -> None:
    overrides, path, suggestion = WRONG[case]
    problems = kitchen.problems(*overrides)
    assert problems[0].path == path
    if suggestion:
        assert problems[0].suggestion == suggestion
    assert all(problem.source in ("command line", "basic.yaml:7") or case == "task left empty" for problem in problems)
    text = "\n".join(map(str, problems))
    assert "+encod" not in text
    assert "hydra" not in text.lower()


def test_everything_at_once_with_lines(kitchen) -> None:
    recipe = """\
defaults:
  - task: talk
  - encoder: smoll
  - tokenizer@text: letters
  - fake/bsic
  - [what]
text: {lowercase: true}
train:
  stepz: 1
  lr: fast
nonsense: 3
"""
    problems = kitchen.problems("seed=x", "data.trane=y", recipe="fake/wrong", wrong=recipe)
    assert {(problem.path, problem.source) for problem in problems} == {
        ("defaults[3]", "wrong.yaml:5"), ("defaults[4]", "wrong.yaml:6"), ("encoder", "wrong.yaml:3"),
        ("seed", "command line"),
        ("text.lowercase", "wrong.yaml:7"), ("data.trane", "command line"), ("train.stepz", "wrong.yaml:9"),
        ("train.lr", "wrong.yaml:10"), ("nonsense", "wrong.yaml:11"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [("task: talk\nencoder: {dim: 3", 2, "not YAML"), ("task: talk\n\tencoder: 3", 2, "not YAML"),
     ("- a\n- b", 0, "mapping of sections"), ("just words", 0, "mapping of sections"), ("a: &x [*x]", 0, "nested"),
     ("a: \x00", 0, "not YAML"), ("[" * 5000, 0, "")],
)  # fmt: skip
def test_files_that_are_no_recipe(kitchen, tmp_path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    problem = kitchen.problems(recipe=str(path))[0]
    assert problem.path.startswith(str(path))
    assert reason in problem.message
    assert not line or problem.path.endswith(f":{line}")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"a: \xe9", b"x" * 1_100_000])
def test_files_that_are_no_text(kitchen, tmp_path, content: bytes) -> None:
    (tmp_path / "odd.yaml").write_bytes(content)
    assert "YAML" in str(kitchen.problems(recipe=str(tmp_path / "odd.yaml"))[0]) or content[:1] == b"x"


def test_empty_recipe_says_what_it_needs(kitchen) -> None:
    problem = kitchen.problems(recipe="fake/empty", empty="")[0]
    assert (problem.path, problem.options) == ("task", ("speak", "talk"))


def test_double_keys_name_both_lines(kitchen) -> None:
    problem = kitchen.problems(recipe="fake/double", double=fakes.BASIC + "seed: 4\n")[0]
    assert (problem.path, problem.source) == ("seed", "double.yaml:12")
    assert "line 11" in problem.message


def test_recipes_in_a_circle(kitchen) -> None:
    problem = kitchen.problems(recipe="fake/a", a="defaults: [fake/b]", b="defaults: [fake/a]")[0]
    assert "a.yaml -> b.yaml -> a.yaml" in problem.message


@pytest.mark.parametrize(("recipe", "near"), [("fake/basik", "fake/basic"), ("basic", "fake/basic"), ("zzz", None)])
def test_unknown_recipe(kitchen, recipe: str, near: str | None) -> None:
    problem = kitchen.problems(recipe=recipe)[0]
    assert (problem.value, problem.suggestion, problem.options) == (recipe, near, ("fake/basic",))


def test_a_broken_component_is_named(kitchen) -> None:
    assert "stentor-fakes 1.0" in kitchen.problems("encoder=missing")[0].message
    assert "cannot be checked" in kitchen.problems("encoder=untyped")[0].message


def test_roles_that_need_a_name(kitchen) -> None:
    speak = "defaults: [{task: speak}, {tokenizer: words}]"
    problems = {problem.path: problem for problem in kitchen.problems(recipe="fake/speak", speak=speak)}
    assert problems["tokenizer"].options == ("tokenizer@text", "tokenizer@audio")
    assert "add '- tokenizer@audio: NAME'" in problems["audio"].message
