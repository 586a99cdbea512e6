"""Optional dependencies: imported, or the extra that brings them is named."""

import json

import pytest

from stentor.errors import StentorError
from stentor.extras import require


def test_what_is_there_is_imported() -> None:
    assert require("json", "any") is json


def test_what_is_absent_names_the_extra() -> None:
    with pytest.raises(StentorError) as caught:
        require("no_such_module_at_all.part", "dreams", distribution="stentor-tts")
    assert str(caught.value) == ("'no_such_module_at_all.part' is needed here and is not installed. "
                                 "Install it with: pip install 'stentor-tts[dreams]'")  # fmt: skip


def test_what_is_broken_says_why(tmp_path, monkeypatch) -> None:
    (tmp_path / "half_there.py").write_text("import no_such_module_at_all")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StentorError, match=r"cannot be imported .No module named 'no_such_module_at_all'"):
        require("half_there", "dreams")
