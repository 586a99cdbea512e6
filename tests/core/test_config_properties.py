"""Properties of the config layer: any words compose or raise `StentorError`; a recipe survives YAML."""

import math

import fakes
import pytest
import yaml
from hydra.core.override_parser.types import Quote, QuotedString
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stentor.config import Recipe, compose, reading
from stentor.config.checking import Checker
from stentor.config.interpolation import Resolver
from stentor.errors import StentorError

SLOW = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FAST = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

# fmt: off
KEYS = st.sampled_from([
    "encoder", "encoder.dim", "encoder.bands", "encoder.gains.x", "encoder.name", "text", "tokenizer@text", "tokenizer",
    "task", "task.name", "train", "train.steps", "train.groups", "train.groups[0]", "train.groups[0].lr", "defaults",
    "data", "evaluate.sets", "evaluate.targets.a.b", "seed", "name", "hydra", "hydra.searchpath", "hydra/launcher",
    "encoder/small", "train.betas[9]", "a.b", "_target_", "encoder._target_", "settings", "recipe", "recipe/file0",
    "encoder@", "@",
])
VALUES = st.sampled_from([
    "small", "large", "talk", "speak", "words", "3", "-1", "1e999", "nan", "null", "true", "[]", "[1,2]", "{}", "file0",
    "{name: small}", "{name: {a: b}}", "{1: 2}", "[[[]]]", "''", '"x"', "a,b", "range(1,3)", "choice(a,b)", "glob(*)",
    "int(x)", "int(3)", "${seed}", "${encoder}", "${.dim}", "${..seed}", "${oc.env:HOME}", "${a:b}", "${",
    "$", "\\${seed}", "???", "json_str(3)", "${train.steps}", "${${seed}}", "é", " ", "", "a b", "a=b",
]) | st.text(max_size=8)
SIGNS = st.sampled_from(["", "", "+", "++", "~", "-"])
EQUALS = st.sampled_from(["=", "=", "=", ""])
OVERRIDES = st.builds("{}{}{}{}".format, SIGNS, KEYS | st.text(max_size=6), EQUALS, VALUES)
# fmt: on


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    return fakes.plugins(tmp_path_factory.mktemp("recipes"))


@SLOW
@given(overrides=st.lists(OVERRIDES, max_size=3))
def test_any_override_composes_or_is_refused_in_plain_words(plugins, overrides) -> None:
    try:
        recipe = compose("fake/basic", overrides, plugins=plugins)
    except StentorError as error:
        assert all(problem.message for problem in error.problems)
    else:
        assert Recipe.from_dict(recipe.config, plugins.registry) == recipe


TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8).filter(lambda text: "${" not in text)
GOOD = st.fixed_dictionaries(
    {},
    optional={
        "encoder.dim": st.integers(),
        "encoder.dropout": st.floats(allow_nan=False, allow_infinity=False),
        "encoder.frozen": st.booleans(),
        "encoder.act": st.sampled_from(["relu", "gelu"]),
        "encoder.bands": st.lists(st.integers(), max_size=3),
        "encoder.weights": TEXT,
        "data.valid": TEXT,
        "evaluate.sets": st.dictionaries(st.sampled_from(["a", "b-c"]), TEXT, max_size=2),
        "seed": st.integers(),
    },
)


def spelt(value: object) -> str:
    """A value in the grammar of overrides."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{spelt(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return QuotedString(value, Quote.single).with_quotes()
    return str(value).lower()


@SLOW
@given(wanted=GOOD)
def test_good_overrides_arrive_and_survive_yaml(plugins, tmp_path_factory, wanted) -> None:
    recipe = compose("fake/basic", [f"{key}={spelt(value)}" for key, value in wanted.items()], plugins=plugins)
    for key, value in wanted.items():
        section, _, last = key.partition(".")
        found = recipe.config[section][last] if last else recipe.config[section]
        assert (found, type(found)) == (value, type(value))
    path = tmp_path_factory.getbasetemp() / "run.yaml"
    path.write_text(recipe.to_yaml(), encoding="utf-8")
    assert Recipe.from_file(path, plugins.registry) == recipe


WORDS = st.text(max_size=12) | st.sampled_from(
    ["no", "1e3", "0o17", "1_000", "null", "~", "2020-01-01", "1:30", ".5", "<<", "="]
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@SLOW
@given(
    body=st.dictionaries(
        st.sampled_from(["defaults", "task", "encoder", "text", "train", "seed", "x"]), PLAIN, max_size=4
    )
)
def test_any_file_composes_or_is_refused_in_plain_words(plugins, tmp_path_factory, body) -> None:
    path = tmp_path_factory.mktemp("file") / "any.yaml"
    path.write_text(yaml.safe_dump(body, allow_unicode=True), encoding="utf-8")
    with pytest.raises(StentorError) as caught:
        compose(str(path), plugins=plugins)
    assert all(problem.message for problem in caught.value.problems)


@FAST
@given(text=st.text(max_size=60) | st.text("{}[]:-&*!|>%@'\"\n a1", max_size=40))
def test_any_text_is_read_or_refused(tmp_path_factory, text) -> None:
    path = tmp_path_factory.getbasetemp() / "text.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        document = reading.read(path)
    except StentorError:
        return
    assert isinstance(document.data, dict)


@FAST
@given(data=st.dictionaries(st.text(max_size=8), PLAIN, max_size=4))
def test_plain_data_survives_yaml(tmp_path_factory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "data.yaml"
    path.write_text(reading.dump(data), encoding="utf-8", newline="")
    document = reading.read(path)
    assert (document.data, document.problems) == (data, [])


SECTION = st.dictionaries(st.sampled_from(["name", "dim", "rates", "act", "gains", "weights", "parts", "judge", "?"]),
                          PLAIN | st.sampled_from(["small", "both", "rule", "???"]), max_size=4)  # fmt: skip


@FAST
@given(section=SECTION | PLAIN, kind=st.sampled_from(["encoder", "reward"]))
def test_what_passes_the_check_passes_it_again_unchanged(section, kind) -> None:
    checker = Checker(fakes.registry())
    found = checker.component(section, kind, kind)
    if not checker.problems:
        again = Checker(fakes.registry())
        assert (again.component(found, kind, kind), again.problems) == (found, [])


@FAST
@given(
    data=st.dictionaries(
        st.sampled_from("abc"), PLAIN | st.sampled_from(["${a}", "${b.c}", "x${c[0]}", "${.b}"]), max_size=3
    )
)
def test_interpolation_ends(data) -> None:
    resolver = Resolver(data)
    resolved = resolver.resolve()
    assert set(resolved) == set(data)
    if not resolver.problems and not any(isinstance(v, float) and math.isinf(v) for v in data.values()):
        assert "${a}" not in str(resolved) or "\\${" in str(data)
