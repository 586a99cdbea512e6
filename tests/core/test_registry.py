"""Kinds, entries, look-up: which components exist, without importing any."""

import copy
import pickle

import fakes
import pytest

from stentor.errors import StentorError, near_match
from stentor.registry import Origin, Registry, Verbs


def test_a_kind_becomes_a_method() -> None:
    found = fakes.registry()
    found.encoder("conformer", "some.module:Conformer")
    entry = found.get("encoder", "conformer")
    assert (entry.target, entry.module, entry.origin.version) == ("some.module:Conformer", "some.module", "1.0")


def test_unknown_name_says_options_and_near_match() -> None:
    with pytest.raises(StentorError) as caught:
        fakes.registry().get("encoder", "Smal", path="encoder.name")
    error = caught.value
    assert (error.path, error.value, error.suggestion) == ("encoder.name", "Smal", "small")
    assert "large" in error.options
    assert "Did you mean 'small'? Options:" in str(error)


def test_unknown_kind_in_every_way() -> None:
    found = fakes.registry()
    for call in (
        lambda: found.get("encodr", "x"),
        lambda: found.add("encodr", "x", "a:b"),
        lambda: found.names("encodr"),
    ):
        with pytest.raises(StentorError) as caught:
            call()
        assert caught.value.suggestion == "encoder"
    with pytest.raises(AttributeError, match="did you mean 'encoder'"):
        found.encodr("x", "a:b")


def test_duplicate_names_both_origins() -> None:
    found = fakes.registry()
    found.origin = Origin("other", "stentor-other", "2.0")
    with pytest.raises(StentorError, match=r"stentor-fakes 1\.0.*stentor-other 2\.0"):
        found.add("encoder", "small", "other:Small")
    assert found.get("encoder", "small").target == "fakes:Small"
    with pytest.raises(StentorError, match=r"stentor-other 2\.0.*stentor-fakes 1\.0"):
        found.kind("encoder", "other:Encoder", "another")


@pytest.mark.parametrize("target", ["no_colon", "two:colons:here", "", 3, None])
def test_malformed_target(target: object) -> None:
    with pytest.raises(StentorError, match="import string"):
        fakes.registry().add("encoder", "new", target)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["../up", "with space", "", "a@b", "a/b", "${x}", None])
def test_malformed_name(name: object) -> None:
    with pytest.raises(StentorError, match="a name is letters"):
        fakes.registry().add("encoder", name, "a:b")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["add", "recipes", "_private", "two words", "hydra"])
def test_reserved_kind(kind: str) -> None:
    with pytest.raises(StentorError, match="no free plain word"):
        Registry().kind(kind, "a:b", "doc")


def test_copies_and_pickles() -> None:
    found = fakes.registry()
    for other in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert other.names("encoder") == found.names("encoder")
        assert other.get("encoder", "small") == found.get("encoder", "small")


def test_error_pickles_with_its_problems() -> None:
    error = StentorError("wrong", path="a.b", value="x", options=("xx", "y"))
    other = pickle.loads(pickle.dumps(error))
    assert (other.problems, str(other)) == (error.problems, str(error))


def test_load_blames_the_plugin(tmp_path, monkeypatch) -> None:
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    found = fakes.registry()
    found.add("encoder", "leaves", "leaves:X")
    found.add("encoder", "absent", "no_such_module_at_all:X")
    for name, cause in (("leaves", "SystemExit"), ("absent", "ModuleNotFoundError"), ("missing", "AttributeError")):
        with pytest.raises(StentorError, match=f"'{name}' of plugin 'fakes' .stentor-fakes 1.0.*{cause}"):
            found.get("encoder", name).load()


def test_restore_takes_back_everything_since_the_snapshot() -> None:
    found = fakes.registry()
    saved = found.snapshot()
    found.kind("drafter", "a:b", "doc")
    found.drafter("small", "a:b")
    found.restore(saved)
    with pytest.raises(StentorError):
        found.names("drafter")
    assert list(found.entries()) == list(fakes.registry().entries())


def test_verbs_refuse_duplicates() -> None:
    verbs = Verbs()
    verbs.add("speak", "a", "say it")
    with pytest.raises(StentorError, match="is taken by"):
        verbs.add("speak", "b", "say it")


@pytest.mark.parametrize(
    ("word", "near"),
    [("speech_lm", "speech-lm"), ("SPEECH-LM", "speech-lm"), ("ctc", "asr/ctc"), ("zzz", None), ("x" * 100_000, None)],
)
def test_near_match(word: str, near: str | None) -> None:
    assert near_match(word, ["speech-lm", "asr/ctc", "conformer"]) == near
