"""A constructor's signature is the component's configuration."""

from typing import Any

import fakes
import pytest

from stentor.config import checking, schema
from stentor.config.docstrings import argument_docs, first_line
from stentor.config.schema import REQUIRED
from stentor.errors import StentorError


def of(kind: str, name: str) -> schema.Schema:
    return schema.of(fakes.registry().get(kind, name))


def test_positional_is_wired_and_keyword_only_is_configured() -> None:
    found = of("encoder", "small")
    assert [field.name for field in found.wired] == ["in_dim"]
    assert [(field.name, field.type_name, field.default) for field in found.configured] == [
        ("dim", "int", 144),
        ("dropout", "float", 0.1),
        ("frozen", "bool", False),
        ("act", "'relu' | 'gelu'", "relu"),
        ("bands", "list[int]", [1, 2]),
        ("rates", "tuple[int, float]", (8, 16.0)),
        ("weights", "str | null", None),
        ("gains", "dict[str, float]", {}),
    ]
    assert [found.configured[0].doc, found.configured[5].doc] == ["width of the frames.", "one for each end, in Hz."]


def test_a_setting_without_default_is_required() -> None:
    layers = of("encoder", "large").field("layers")
    assert layers is not None
    assert layers.default is REQUIRED


def test_a_dataclass_is_a_component_too() -> None:
    words, weight = of("reward", "listed").configured
    assert (words.default, words.doc, weight.required) == (["yes"], "what is rewarded.", True)
    assert check({"name": "listed", "weight": 2}, "reward") == ({"name": "listed", "words": ["yes"], "weight": 2.0}, [])


@pytest.mark.parametrize(
    ("name", "reason"),
    [("untyped", "'options' of encoder 'untyped' of plugin 'fakes'.*cannot be checked"),
     ("unannotated", "'options' of encoder 'unannotated'.*has no type"),
     ("greedy", "takes '..anything', which would switch checking off"),
     ("lost", "'Nowhere' of setting 'size'.*cannot be resolved")],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused_by_name(name: str, reason: str) -> None:
    with pytest.raises(StentorError, match=reason):
        of("encoder", name)


def test_docstrings() -> None:
    doc = "Does it.\n\nArgs:\n    a, b: both\n        of them.\n    c (int): the third.\n\nReturns:\n    d: nothing."
    assert argument_docs(doc) == {"a": "both of them.", "b": "both of them.", "c": "the third."}
    assert (first_line("One\ntwo.\n\nThree."), first_line(None)) == ("One two.", "")


def check(section: Any, kind: str = "encoder") -> tuple[Any, list[str]]:
    checker = checking.Checker(fakes.registry())
    found = checker.component(section, kind, kind)
    return found, [str(problem) for problem in checker.problems]


def test_every_default_is_filled_in() -> None:
    found, problems = check("small")
    assert problems == []
    assert found == {"name": "small", "dim": 144, "dropout": 0.1, "frozen": False, "act": "relu", "bands": [1, 2],
                     "rates": (8, 16.0), "weights": None, "gains": {}}  # fmt: skip


def test_values_take_the_type_of_their_setting() -> None:
    found, problems = check({"name": "small", "dropout": 1, "rates": [4, 2], "gains": {"a": 3}, "weights": "x"})
    assert problems == []
    assert (found["dropout"], found["rates"], found["gains"]) == (1.0, (4, 2.0), {"a": 3.0})
    assert [type(found["dropout"]), type(found["rates"]), type(found["gains"]["a"])] == [float, tuple, float]


@pytest.mark.parametrize(
    ("settings", "path", "reason"),
    [({"dim": 2.0}, "dim", "2.0 is not a whole number. Write 2."),
     ({"dim": True}, "dim", "true is not a whole number."),
     ({"dim": "256"}, "dim", "'256' is not a whole number."),
     ({"dim": None}, "dim", "null is not a whole number."),
     ({"dim": "???"}, "dim", "a value must be given: a whole number."),
     ({"dropout": 10**400}, "dropout", "is too large."),
     ({"frozen": "yes"}, "frozen", "'yes' is not true or false. Write true."),
     ({"frozen": 1}, "frozen", "1 is not true or false."),
     ({"weights": 12}, "weights", "12 is not text"),
     ({"act": "relo"}, "act", "'relo' is not among the options. Did you mean 'relu'? Options: relu, gelu."),
     ({"bands": 3}, "bands", "3 is not a list (list[int])."),
     ({"bands": [1, "x"]}, "bands[1]", "'x' is not a whole number."),
     ({"rates": [1]}, "rates", "it must have 2 items, not 1."),
     ({"gains": {"a": "b"}}, "gains.a", "'b' is not a number."),
     ({"gains": [1]}, "gains", "[1] is not a mapping"),
     ({"dimm": 3}, "dimm", "encoder 'small' has no setting 'dimm'. Did you mean 'dim'? Options: dim,"),
     ({"in_dim": 3}, "in_dim", "'in_dim' of encoder 'small' is decided by its neighbours and cannot be set.")],
)  # fmt: skip
def test_wrong_settings(settings: dict[str, Any], path: str, reason: str) -> None:
    _, problems = check({"name": "small", **settings})
    assert len(problems) == 1
    assert problems[0].startswith(f"encoder.{path}: ")
    assert reason in problems[0]


def test_all_problems_come_together() -> None:
    _, problems = check({"name": "small", "dim": "a", "bands": ["b", 1, "c"], "bogus": 1})
    assert len(problems) == 4


def test_required_setting() -> None:
    _, problems = check("large")
    assert problems == ["encoder.layers: encoder 'large' needs a value here: a whole number."]


def test_nested_components_are_filled_and_checked() -> None:
    found, problems = check(
        {"name": "both", "parts": ["rule", {"name": "rule", "weight": 2}], "judge": "rule"}, "reward"
    )
    rule = {"name": "rule", "weight": 1.0}
    assert problems == []
    assert found == {"name": "both", "parts": [rule, {"name": "rule", "weight": 2.0}], "judge": rule,
                     "fallback": "rule", "first": rule}  # fmt: skip
    _, problems = check({"name": "both", "parts": [{"name": "rule", "wait": 2}, "ruel"], "fallback": "x"}, "reward")
    assert [problem.split(":")[0] for problem in problems] == [
        "reward.parts[0].wait", "reward.parts[1].name", "reward.fallback"]  # fmt: skip
    assert "Did you mean 'weight'?" in problems[0]
    assert "Did you mean 'rule'?" in problems[1]


def test_a_component_that_contains_itself_ends() -> None:
    _, problems = check("endless", "reward")
    assert len(problems) == 1
    assert "contain themselves" in problems[0]


@pytest.mark.parametrize("section", [3, [], {}, {"name": 3}, {"name": "???"}, {"dim": 3}])
def test_sections_without_a_name(section: Any) -> None:
    _, problems = check(section)
    assert len(problems) == 1
