"""`stentor plugin new`: what it writes works at once, and it never harms what is there."""

import sys

import pytest
from outside import fake_distribution, install, make_environment, pytest_in, run, stentor

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.scaffold import KINDS, write_plugin

FILES = {
    ".github/workflows/test.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "stentor_bird_song/__init__.py",
    "stentor_bird_song/encoder.py",
    "stentor_bird_song/hooks.py",
    "stentor_bird_song/py.typed",
    "stentor_bird_song/recipes/example.yaml",
    "tests/test_encoder.py",
    "tests/test_plugin.py",
}


def written(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_write_install_test_use(tmp_path):
    """The whole story: write it, pip install -e, its tests pass, it is listed and checked."""
    told = stentor("plugin", "new", "bird-song", "-o", tmp_path).stdout
    plugin = tmp_path / "stentor-bird-song"
    assert str(plugin) in told
    assert written(plugin) == FILES
    python = make_environment(tmp_path / "env")
    install(python, plugin)
    closing = pytest_in(python, plugin)
    assert "passed" in closing
    assert "failed" not in closing
    assert "bird-song" in stentor("list", "encoder", python=python, STENTOR_STRICT="1").stdout
    assert "failed" not in stentor("check", "encoder", "bird-song", "dim=16", python=python).stdout


@pytest.mark.slow
def test_every_kind_passes_its_own_tests(tmp_path):
    """All templates at once, as if installed; also that their code is clean."""
    folders = [write_plugin(f"new-{kind}", kind, tmp_path) for kind in KINDS]
    for kind, folder in zip(KINDS, folders, strict=True):
        fake_distribution(tmp_path / "site", f"stentor-new-{kind}", plugin=f"new-{kind}", hooks="")
        package = f"stentor_new_{kind}"
        entry = tmp_path / "site" / f"{package}-1.0.dist-info" / "entry_points.txt"
        entry.write_text(f"[stentor]\nnew-{kind} = {package}.hooks\n")
        (tmp_path / "site" / package).symlink_to(folder / package)
    closing = pytest_in(sys.executable, *folders, PYTHONPATH=str(tmp_path / "site"))
    assert "passed" in closing
    assert "failed" not in closing
    assert "error" not in closing
    run(sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=120", "--select=E,F,W,I,B,UP,D1,ANN",
        "--ignore=ANN401,D102,D103,D105,D107", "--exclude=tests", *folders)  # fmt: skip
    run(sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=120", "--check", *folders)


def test_there_is_a_template_for_every_kind_that_takes_code():
    builtin = {kind.name for kind in registry().kinds() if kind.origin.plugin == "stentor"}
    assert set(KINDS) == builtin - {"weights"}


@pytest.mark.parametrize(
    "name", ["", "Bird", "bird song", "1st", "../up", "a" * 41, "bird--song", "-bird", "bird_song", "bird-", "sång"]
)
def test_bad_names_get_one_sentence(tmp_path, name):
    with pytest.raises(StentorError, match="cannot name a plugin") as told:
        write_plugin(name, "encoder", tmp_path)
    assert len(told.value.problems) == 1
    assert list(tmp_path.iterdir()) == []


def test_taken_names_are_refused(tmp_path):
    with pytest.raises(StentorError, match="'wer' is taken by"):
        write_plugin("wer", "metric", tmp_path)


def test_unknown_kind_gets_the_near_match(tmp_path):
    with pytest.raises(StentorError, match="Did you mean 'encoder'"):
        write_plugin("bird-song", "encodr", tmp_path)


def test_nothing_is_ever_overwritten(tmp_path):
    plugin = write_plugin("bird-song", "encoder", tmp_path)
    (plugin / "README.md").write_text("mine")
    with pytest.raises(StentorError, match="exists already; nothing was written"):
        write_plugin("bird-song", "metric", tmp_path)
    assert (plugin / "README.md").read_text() == "mine"
    assert written(plugin) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["stentor-bird-song"]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    done = stentor("plugin", "new", "bird-song", "-o", tmp_path / "file" / "below", check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "cannot be written" in done.stderr


def test_the_name_may_carry_the_prefix(tmp_path):
    assert write_plugin("stentor-bird-song", "reward", tmp_path).name == "stentor-bird-song"
