"""Debian packages as corpora, with a stand-in for apt and for the packages' contents; nothing is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stentor.data.corpora.debian import fetch_package
from stentor.data.corpora.debian_asterisk import Asterisk, read_transcripts
from stentor.data.corpora.debian_fillets import Fillets, read_script
from stentor.data.corpora.debian_librivox import Librivox
from stentor.errors import StentorError
from stentor.interfaces.corpus import Item, Rejected

APT = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
  *update*) touch lists-are-here; exit 0 ;;
  "download good"*) touch good_1.0_all.deb; exit 0 ;;
  *download\\ late*) [ -e lists-are-here ] && touch late_1.0_all.deb && exit 0 ;;
esac
echo "E: Unable to locate package" >&2
exit 100
"""
DPKG = """#!/bin/sh
[ -n "$BROKEN" ] && echo "dpkg-deb: error: damaged archive" >&2 && exit 2
mkdir -p "$3/usr/share/thing" && echo hello > "$3/usr/share/thing/file"
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (("apt-get", APT), ("dpkg-deb", DPKG)):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    return tmp_path


def test_a_package_is_fetched_once_and_unpacked(apt: Path) -> None:
    root = fetch_package("good", apt / "kept")
    assert root == apt / "kept" / "good" and (root / "usr/share/thing/file").read_text() == "hello\n"
    assert fetch_package("good", apt / "kept") == root
    assert (apt / "calls").read_text() == "download good\n"
    assert [path.name for path in (apt / "kept").iterdir()] == ["good"]


def test_a_machine_without_package_lists_gets_private_ones(apt: Path) -> None:
    assert (fetch_package("late", apt / "kept") / "usr").is_dir()
    calls = (apt / "calls").read_text()
    assert "Dir::State=" in calls and "update" in calls


def test_no_such_package_is_one_clear_sentence_and_leaves_nothing(apt: Path) -> None:
    with pytest.raises(StentorError, match="'bad' cannot be downloaded: Unable to locate package") as caught:
        fetch_package("bad", apt / "kept")
    assert "apt-get install bad" in str(caught.value)
    assert not list((apt / "kept").iterdir())


def test_a_damaged_archive_leaves_nothing_behind(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(StentorError, match="dpkg-deb"):
        fetch_package("good", apt / "kept")
    assert not list((apt / "kept").iterdir())


def test_without_apt_the_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StentorError, match="'apt-get' is not on the PATH"):
        fetch_package("good", tmp_path / "kept")


def test_librivox_gives_clips_with_text_and_rejects_other_lines(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "usr/share/pocketsphinx/test/data/librivox")
    (folder / "transcription").write_text("<s> he was not an ill man </s> (clip-1)\nnonsense\n")
    first, second = Librivox(tmp_path, tmp_path).items()
    assert isinstance(first, Item) and (first.text, first.audio) == ("he was not an ill man", folder / "clip-1.wav")
    assert isinstance(second, Rejected) and "nonsense" in second.reason


def test_asterisk_prompts_come_with_and_without_text(tmp_path: Path) -> None:
    folder = _folder(tmp_path, "usr/share/asterisk/sounds/en_US_f_Allison/digits")
    for name in ("hello.wav", "digits/1.wav"):
        (folder.parent / name).touch()
    bare = list(Asterisk(tmp_path, tmp_path).items())
    assert [(item.id, item.text) for item in bare if isinstance(item, Item)] == [("digits-1", None), ("hello", None)]
    (tmp_path / "text.txt").write_text("; comment\nhello: Hello: there.\n\n")
    rejected, told = Asterisk(tmp_path, tmp_path, transcripts=str(tmp_path / "text.txt")).items()
    assert isinstance(told, Item) and told.text == "Hello: there."
    assert isinstance(rejected, Rejected) and rejected.where == "digits/1"


def test_transcripts_that_are_missing_or_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StentorError, match="no such file"):
        read_transcripts(tmp_path / "nowhere.txt")
    (tmp_path / "empty.txt").write_text("; nothing\n")
    with pytest.raises(StentorError, match="name: text"):
        read_transcripts(tmp_path / "empty.txt")


def test_fillets_pairs_lines_with_sounds(tmp_path: Path) -> None:
    script = _folder(tmp_path, "usr/share/games/fillets-ng/script/kitchen") / "dialogs_cs.lua"
    sounds = _folder(tmp_path, "usr/share/games/fillets-ng/sound/kitchen/cs")
    script.write_text(
        'dialogId("k-m-a", "font_small", "A \\"nice\\" kitchen.")\ndialogStr("To je\n  kuchyně.")\n\n'
        'dialogId("k-v-b", "font_big", "Where?")\ndialogStr("Kde?")\n'
    )
    for name in ("k-m-a", "k-x-c"):
        (sounds / f"{name}.ogg").touch()
    item, mute, wordless = Fillets(tmp_path, tmp_path).items()
    assert isinstance(item, Item) and (item.text, item.speaker, item.language) == ("To je kuchyně.", "small", "cs")
    assert item.custom["english"] == 'A "nice" kitchen.' and item.custom["scene"] == "kitchen"
    assert isinstance(mute, Rejected) and mute.where == "kitchen/k-v-b"
    assert isinstance(wordless, Rejected) and wordless.where == "k-x-c"
    assert [line.role for line in read_script(script)] == ["small", "big"]


@pytest.mark.parametrize("corpus", [Librivox, Asterisk, Fillets])
def test_a_folder_that_is_not_the_package_is_named(corpus: type, tmp_path: Path) -> None:
    with pytest.raises(StentorError, match="of package") as caught:
        list(corpus(tmp_path, tmp_path).items())
    assert str(tmp_path) in caught.value.path


def _folder(root: Path, name: str) -> Path:
    (root / name).mkdir(parents=True)
    return root / name
