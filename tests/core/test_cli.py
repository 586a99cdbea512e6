"""The verbs that look: what they print, and their exit codes."""

import errno
import json

import fakes
import pytest

import stentor
from stentor import cli
from stentor.cli import describe, docline, validate
from stentor.cli import list as lister
from stentor.errors import StentorError
from stentor.plugins import Failure, installed
from stentor.registry import Origin


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """The command line over the fake plugins."""
    found = fakes.plugins(tmp_path / "recipes")
    modules = ("cli.dispatch", "cli.list", "cli.validate", "cli.describe", "plugins", "config.recipe")
    for name in modules:
        monkeypatch.setattr(f"stentor.{name}.installed", lambda: found)
    for verb in ("list", "describe", "validate"):
        found.verbs.add(verb, f"stentor.cli.{verb}", "looks")
    return found


def test_help_lists_every_verb(capsys) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in installed().verbs.table)
    assert cli.main([]) == 0


def test_version_and_module_entry(capsys) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"stentor {stentor.__version__}\n"
    assert fakes.stentor("--version").stdout == f"stentor {stentor.__version__}\n"


def test_unknown_verb_suggests(capsys) -> None:
    assert cli.main(["lisst"]) == 2
    assert "Did you mean 'list'?" in capsys.readouterr().err


def test_list_shows_every_component_with_its_line_of_documentation(fake, capsys) -> None:
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["KIND", "NAME", "PLUGIN", "MODULE", "WHAT"]
    assert len(lines) == 1 + len(list(fake.registry.entries()))
    small = next(line for line in lines if " small " in line)
    assert small.split() == ["encoder", "small", "fakes", "1.0", "fakes", "A", "small", "encoder."]
    starts = {line.index("fakes 1.0") for line in lines[1:]}
    assert len(starts) == 1


def test_list_of_one_kind_and_of_other_things(fake, capsys) -> None:
    for word, expected in (("reward", "rule"), ("recipes", "fake/basic"), ("plugins", "stentor-fakes"),
                           ("verbs", "validate"), ("kinds", "tokenizer")):  # fmt: skip
        assert cli.main(["list", word]) == 0
        assert expected in capsys.readouterr().out
    assert cli.main(["list", "recipe"]) == 2
    assert "Did you mean 'recipes'?" in capsys.readouterr().err
    fake.registry.kind("drafter", "a:b", "drafts")
    assert cli.main(["list", "drafter"]) == 0
    assert "there are no drafter installed" in capsys.readouterr().out


def test_list_as_json(fake, capsys) -> None:
    assert cli.main(["list", "encoder", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == fake.registry.names("encoder")


def test_list_shows_plugins_that_failed(fake) -> None:
    fake.failures.append(Failure(Origin("bad", "stentor-bad", "2.0"), StentorError("broken.")))
    assert list(lister.rows_of("plugins", fake))[-1] == {
        "plugin": "bad", "distribution": "stentor-bad", "version": "2.0", "state": "left out: broken."}  # fmt: skip


def test_describe_a_component(fake, capsys) -> None:
    assert cli.main(["describe", "encoder", "small"]) == 0
    text = capsys.readouterr().out
    for part in ("plugin 'fakes' (stentor-fakes 1.0)", "fakes.py:", "A small encoder.", "in_dim  int  required",
                 "act      'relu' | 'gelu'", "= 144", "width of the frames."):  # fmt: skip
        assert part in text
    assert cli.main(["describe", "encoder", "smal"]) == 2
    assert "Did you mean 'small'?" in capsys.readouterr().err


def test_describe_a_kind(capsys) -> None:
    assert cli.main(["describe", "adapter"]) == 0
    text = capsys.readouterr().out
    assert "stride_of(cls, **configured: Any) -> int   (must be implemented)" in text
    assert "installed: convolution" in text


def test_describe_a_recipe(fake, capsys) -> None:
    assert cli.main(["describe", "fake/basic", "seed=7"]) == 0
    assert "seed: 7" in capsys.readouterr().out
    assert cli.main(["describe", "fake/basi"]) == 2
    assert "Did you mean 'fake/basic'?" in capsys.readouterr().err


def test_validate(fake, capsys) -> None:
    assert cli.main(["validate", "fake/basic"]) == 0
    assert capsys.readouterr().out.startswith("fake/basic: fine\n  encoder  small")
    assert cli.main(["validate", "fake/basic", "encoder.dim=2000"]) == 2
    assert "encoder.dim: the encoder must be at most 1000 wide." in capsys.readouterr().err
    assert cli.main(["validate", "fake/basic", "seed=x", "train.stepz=1"]) == 2
    assert capsys.readouterr().err.startswith("fake/basic: 2 problems\n")
    assert cli.main(["validate"]) == 2


def test_validate_all(fake, capsys) -> None:
    assert cli.main(["validate", "--all"]) == 0
    fakes_folder = fake.recipes["fake/basic"].parent
    (fakes_folder / "bad.yaml").write_text("task: talk")
    fake.recipes["fake/bad"] = fakes_folder / "bad.yaml"
    assert cli.main(["validate", "--all"]) == 2
    captured = capsys.readouterr()
    assert "fake/bad: 2 problems" in captured.err
    assert captured.out.count("fake/basic: fine") == 2


def test_a_check_that_fails_is_the_tasks_fault(fake, monkeypatch) -> None:
    monkeypatch.setattr(fakes.Talk, "check", classmethod(lambda cls, sections, **configured: 1 / 0))
    _, problems = validate.problems_of("fake/basic", [])
    assert "check of task 'talk' of plugin 'fakes' (stentor-fakes 1.0) failed: ZeroDivisionError" in str(problems[0])


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [(OSError(errno.ENOSPC, "No space left on device", "/runs/x"), 1, "No space left on device: '/runs/x'."),
     (PermissionError(errno.EACCES, "Permission denied", "f"), 1, "Permission denied: 'f'."),
     (KeyboardInterrupt(), 130, "interrupted"), (StentorError("wrong."), 2, "wrong.")],
)  # fmt: skip
def test_failures_are_told_in_a_sentence(fake, monkeypatch, capsys, raised, code: int, told: str) -> None:
    def fail(arguments):
        raise raised

    monkeypatch.setattr(lister, "run", fail)
    assert cli.main(["list"]) == code
    assert capsys.readouterr().err == f"stentor: {told}\n"


def test_a_verb_that_cannot_be_imported_names_its_plugin(fake, capsys) -> None:
    fake.verbs.origin = Origin("bad", "stentor-bad", "2.0")
    fake.verbs.add("shout", "no_such_module_at_all", "loud")
    assert cli.main(["shout"]) == 2
    assert "verb 'shout' of plugin 'bad' (stentor-bad 2.0)" in capsys.readouterr().err


def test_output_into_a_closed_pipe_is_quiet() -> None:
    import subprocess
    import sys

    done = subprocess.run(
        f"{sys.executable} -m stentor list | head -1", shell=True, capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_docline_reads_source_only(tmp_path, monkeypatch) -> None:
    package = tmp_path / "never"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "part.py").write_text('raise RuntimeError\nclass A(\n    int\n):\n    r"""The line.\n\n    More."""\n'
                                     "class B: ...\nclass C:\n    '''Short.'''\n")  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path)
    assert [docline.docline(f"never.part:{name}") for name in "ABCD"] == ["The line.", "", "Short.", ""]
    assert (docline.line_of("never.part:C"), docline.file_of("never.part")) == (9, str(package / "part.py"))
    assert [docline.docline(target) for target in ("nowhere.at.all:X", "sys:X", "never:X")] == ["", "", ""]


def test_every_installed_component_has_a_line_and_a_schema() -> None:
    from stentor.config import schema

    for entry in installed().registry.entries():
        assert docline.docline(entry.target), f"{entry.kind} {entry.name} has no docstring"
        schema.of(entry)
        assert describe._component(entry)


@pytest.mark.parametrize(
    ("line", "word", "printed"),
    [("stentor va", "va", "validate \n"), ("stentor list enc", "enc", "encoder \n"),
     ("stentor describe encoder sm", "sm", "small \n"), ("stentor validate fa", "fa", "fake/basic \n"),
     ("stentor validate fake/basic encoder=sm", "sm", "small \n"), ("stentor train fake/basic see", "see", "seed=\n"),
     ("stentor validate fake/basic train.minu", "train.minu", "train.minutes=\n"), ("stentor list zzz", "zzz", "")],
)  # fmt: skip
def test_completion(fake, capsys, monkeypatch, line: str, word: str, printed: str) -> None:
    fake.verbs.add("complete", "stentor.cli.complete", "completes")
    monkeypatch.setattr("stentor.cli.complete.installed", lambda: fake)
    monkeypatch.setenv("COMP_LINE", line)
    assert cli.main(["complete", "stentor", word, "before"]) == 0
    assert capsys.readouterr().out == printed


def test_completion_in_a_real_shell() -> None:
    import subprocess
    import sys

    script = f"""stentor() {{ {sys.executable} -m stentor "$@"; }}
    eval "$(stentor complete)"
    complete -p stentor
    COMP_LINE='stentor list ada' COMP_POINT=16 stentor complete stentor ada list"""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert "stentor complete" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[1] == "adapter "
