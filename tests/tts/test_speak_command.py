"""`stentor speak`: files, pipes, tables of texts, and what it refuses."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tones import RATE, Tones, level

from stentor.cli.dispatch import main
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_tts.speaking import batch, choice
from stentor_tts.speaking.rows import Row
from stentor_tts.text.script import Manner


@pytest.fixture
def speaker(monkeypatch, tmp_path):
    """The tones speak, whoever is asked to."""
    monkeypatch.chdir(tmp_path)
    tones = Tones()
    monkeypatch.setattr(choice, "choose", lambda *_, **__: tones)
    return tones


def speak(*words):
    return main(["speak", *map(str, words)])


def refused(capsys, *words):
    """What it says on bad input."""
    assert speak(*words) == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    return told


def test_a_file_and_what_was_left_out(speaker, capsys):
    assert speak("one two ☃", "-o", "out.wav") == 0
    samples, rate = soundfile.read("out.wav", dtype="float32")
    assert rate == RATE and "1 character cannot be said and was left out: '☃' (1)." in capsys.readouterr().err
    np.testing.assert_allclose(samples, np.concatenate([level("one"), level("two")]), atol=1e-4)
    assert "is there already" in refused(capsys, "one", "-o", "out.wav")
    assert speak("one", "-o", "out.wav", "--force") == 0 and soundfile.info("out.wav").frames == len(level("one"))


@pytest.mark.parametrize("ending", ["flac", "mp3", "ogg", "opus"])
def test_other_files(speaker, ending):
    assert speak("one two", "-o", f"out.{ending}", "--rate", "24000") == 0
    assert soundfile.info(f"out.{ending}").samplerate == 24000


def test_standard_input_and_output(speaker, capsysbinary, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("one ☃.".encode())))
    assert speak("-", "-o", "-", "--stream", "--format", "pcm") == 0
    assert len(capsysbinary.readouterr().out) == 2 * len(level("one."))
    assert speak("one", "-o", "-") == 0
    samples, _ = soundfile.read(io.BytesIO(capsysbinary.readouterr().out))
    assert len(samples) == len(level("one"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["x"], "--output: say where the audio goes"),
        (["-o", "x.wav"], "TEXT: give a text"),
        (["x", "-o", "x.aac"], "no audio format that can be written"),
        (["x", "-o", "x.wav", "--stream"], "--stream: is for standard output"),
        (["x", "-o", "x.wav", "--format", "mp3"], "--format: is for standard output"),
        (["", "-o", "x.wav"], "nothing to say"),
        (["a\x1bb", "-o", "x.wav"], "control character"),
        (["x", "-o", "x.wav", "--style", "sloww"], "Did you mean 'slow'"),
        (["x", "-o", "x.wav", "--speed", "0"], "speed: must be from"),
        (["x", "-o", "x.wav", "--voice", "none.wav"], "no such file"),
        (["x", "-o", "x.wav", "--rate", "0"], "--rate: must be from 8000 to 48000"),
        (["x", "-o", "x.mp3", "--rate", "100"], "--rate: must be from 8000 to 48000"),
        (["x", "-o", "x.mp3", "--rate", "96000"], "--rate: must be from 8000 to 48000"),
        (["--batch", "t.csv", "-o", "-"], "--output: many texts go into a folder"),
        (["x", "-o", "x.wav", "--normaliser", "plane"], "Did you mean 'plain'"),
        (["<speak>x", "-o", "x.wav"], "not well-formed"),
    ],
)
def test_bad_input_gets_one_sentence(speaker, capsys, tmp_path, words, told):
    assert told in refused(capsys, *words)
    assert list(tmp_path.iterdir()) == [] and not speaker.asked


def test_what_the_speaker_cannot_do_leaves_nothing_behind(speaker, capsys, tmp_path):
    def check(sentence, wish):
        raise StentorError("the run does not change its pitch.", path="style")

    speaker.check = check
    assert "does not change its pitch" in refused(capsys, "x", "-o", "x.wav")
    assert list(tmp_path.iterdir()) == [] and not speaker.asked


def test_an_engine_that_is_not_there(capsys):
    assert "Did you mean 'espeak'" in refused(capsys, "x", "-o", "x.wav", "--engine", "espeek")


TABLE = """{"text": "One two.", "id": "first", "style": "slow", "seed": 3}
{"text": ""}
{"text": "again", "id": "first"}
{"text": "x", "style": "wild"}
broken
{"text": "three", "id": "../up"}
{"sentence": 5}
"""


def test_a_table_of_texts(speaker, capsys, tmp_path):
    (tmp_path / "texts.jsonl").write_text(TABLE)
    assert speak("--batch", "texts.jsonl", "-o", "out") == 1
    assert "2 texts" in capsys.readouterr().out
    first, up = manifest.load("out/spoken.jsonl.gz")
    assert (first.id, first.text, first.speaker) == ("first", "One two.", "tones") and first.custom["synthetic"] is True
    assert speaker.asked[0][1].seed == 3 and speaker.asked[0][1].manner.rate == 0.85
    assert soundfile.info(first.audio).frames == first.frames == len(level("Onetwo."))
    assert {path.parent for path in map(type(tmp_path), (first.audio, up.audio))} == {tmp_path / "out" / "audio"}
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "out/quarantine.jsonl").read_text().splitlines()]
    assert len(reasons) == 5 and any("no style 'wild'" in one and one.endswith("(style)") for one in reasons)


def test_what_has_been_said_is_not_said_again(speaker, tmp_path):
    (tmp_path / "texts.csv").write_text("id,text\na,one\nb,two\nc,fuse\n")
    assert speak("--batch", "texts.csv", "-o", "out") == 1
    assert json.loads((tmp_path / "out/quarantine.jsonl").read_text())["reason"] == "RuntimeError: the fuse is blown"
    (tmp_path / "texts.csv").write_text("id,text\na,one\nb,two\nc,three\n")
    assert speak("--batch", "texts.csv", "-o", "out") == 0
    assert speaker.words == ["one", "two", "three"]
    assert [row.id for row in manifest.load("out/spoken.jsonl.gz")] == ["a", "b", "c"]
    assert speak("--batch", "texts.csv", "-o", "out", "--seed", "1") == 0 and len(speaker.words) == 6


def test_a_batch_that_was_killed_goes_on(speaker, tmp_path, monkeypatch):
    def killed(sentence, wish):
        raise KeyboardInterrupt

    (tmp_path / "texts.csv").write_text("id,text\na,one\nb,two\n")
    say = speaker.say
    monkeypatch.setattr(
        speaker, "say", lambda sentence, wish: (say if "one" in sentence.text else killed)(sentence, wish)
    )
    assert speak("--batch", "texts.csv", "-o", "out") == 130
    assert not (tmp_path / "out" / "spoken.jsonl.gz").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choice, "choose", lambda *_, **__: speaker)
    assert speak("--batch", "texts.csv", "-o", "out") == 0 and speaker.words == ["one", "two"]


def test_fewer_long_texts_are_said_together():
    rows = [
        Row(f"t:{number}", str(number), "word " * words) for number, words in enumerate([1, 1, 1, 3000, 1, 1500, 600])
    ]
    rows.insert(2, Rejected("t:9", "no text"))
    assert [len(group) for group in batch._groups(rows, 3)] == [3, 2, 3]
    assert [one for group in batch._groups(rows, 3) for one in group] == rows


def test_what_holds_for_all_rows_is_checked_first(speaker, capsys, tmp_path):
    (tmp_path / "texts.csv").write_text("id,text\na,one\nb,two\n")
    for words, told in ((["--speed", "9"], "speed: must be from"), (["--voice", "none.wav"], "none.wav: there is no"),
                        (["--style", "wild"], "no style 'wild'")):  # fmt: skip
        assert told in refused(capsys, "--batch", "texts.csv", "-o", "out", *words)
    assert not (tmp_path / "out").exists() and not speaker.asked
    (tmp_path / "none.csv").write_text("id,text\n")
    assert "none.csv: there is no row" in refused(capsys, "--batch", "none.csv", "-o", "out")


def test_a_file_that_the_system_refuses(speaker, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot write it" in refused(capsys, "x", "-o", "file/x.wav")
    if Path("/proc/self").exists():
        assert "/proc/x.wav: cannot write it" in refused(capsys, "x", "-o", "/proc/x.wav")


def test_a_rate_that_the_format_does_not_have_is_told(speaker, capsys):
    assert speak("one", "-o", "x.opus", "--rate", "44100") == 0
    assert soundfile.info("x.opus").samplerate == 48000 and "written at 48000 Hz" in capsys.readouterr().err


def test_a_manifest_of_texts(speaker, tmp_path):
    style = {"rate": 2, "energy": -1, "whisper": True}
    rows = [Utterance("a", "", 1.0, 0, text="one two", custom={"style": style})]
    manifest.save(tmp_path / "texts.jsonl.gz", rows)
    assert speak("--batch", "texts.jsonl.gz", "-o", "out") == 0
    ((_, wish),) = speaker.asked
    assert wish.manner == Manner(1.45, 0.0, -6.0, ("style:whisper",))


def test_nothing_that_can_be_said(speaker, capsys, tmp_path):
    (tmp_path / "texts.csv").write_text("id,text\na,\n")
    assert "none of the 1 rows could be said" in refused(capsys, "--batch", "texts.csv", "-o", "out")
    (tmp_path / "none.csv").write_text("id,words\na,b\n")
    assert "no column holds the texts" in refused(capsys, "--batch", "none.csv", "-o", "out2")


def test_help_imports_nothing_heavy():
    code = "import sys, stentor.cli.dispatch as d\ntry: d.main(['speak', '--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('torch', 'numpy', 'soundfile', 'starlette') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n") and "--batch" in done.stdout
