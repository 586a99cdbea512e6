"""Counts on the command line."""

import pytest

from stentor import cli

VERBS = {"prepare": ["commands", "-o", "out"], "ablate": ["ctc", "seed=1,2"]}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("count", ["0", "-5", "1.5", "many", ""])
def test_jobs_are_at_least_one(verb, count, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        cli.main([verb, *VERBS[verb], f"--jobs={count}"])
    assert caught.value.code == 2
    assert f"must be a whole number of at least 1, not '{count}'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
