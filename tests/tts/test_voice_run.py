"""A run that speaks, from training to export, the command line and the server."""

import io

import numpy as np
import openai
import pytest
import soundfile
import tiny_runs
from safetensors.torch import load_file

from stentor.cli.dispatch import main
from stentor.errors import StentorError
from stentor.serve.server import opened, running
from stentor.serve.settings import Model, ServeSettings
from stentor.train.export import export
from stentor_tts.speaking.run import RunSpeaker, speaks
from stentor_tts.speaking.synthesiser import Synthesiser


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voice")
    tiny_runs.voice(folder)
    return folder


def said(folder, **asked):
    speaker = RunSpeaker(folder)
    speaker.load_pretrained()
    return Synthesiser(speaker).speak("red lamp on.", **asked)


def test_an_export_speaks_without_the_runs_that_trained_its_parts(place, tmp_path):
    made = export(place / "voice", tmp_path / "given")
    plain, shown = said(place / "voice"), said(place / "voice", voice=place / "3.wav")
    away = [place / name for name in ("tokenizer", "flow", "vocoder")]
    for folder in away:
        folder.rename(folder.with_name(f"{folder.name} elsewhere"))
    try:
        np.testing.assert_array_equal(said(made), plain)
        np.testing.assert_array_equal(said(made, voice=place / "3.wav"), shown)
        np.testing.assert_array_equal(said(export(made, tmp_path / "again", embedded=True)), plain)
        with pytest.raises(StentorError, match=r"codec\.run: .*was trained by another run, which is not there"):
            export(place / "voice", tmp_path / "none")
    finally:
        for folder in away:
            folder.with_name(f"{folder.name} elsewhere").rename(folder)
    assert not list(tmp_path.glob(".*")) and not (tmp_path / "none").exists()


def test_what_an_export_embeds_is_no_more_than_the_part(place, tmp_path):
    made = export(place / "voice", tmp_path / "given")
    for name, kind in (("tokenizer", "codec"), ("flow", "acoustic"), ("vocoder", "vocoder")):
        (folder,) = [path for path in (made / "pretrained").iterdir() if path.name.endswith(name)]
        for file in folder.rglob("*.safetensors"):
            assert all(tensor.startswith(f"{kind}.") for tensor in load_file(str(file)))


def test_the_card_says_that_it_is_a_voice(place, tmp_path):
    card = (export(place / "voice", tmp_path / "ada") / "README.md").read_text()
    assert "This is a voice, not a recogniser" in card and "pipeline_tag: text-to-speech" in card
    assert 'stentor speak --run ada "Good morning."' in card and "transcribe" not in card
    assert card.count("embedded here: yes") == 3 and "2 speakers, synthetic speech" in card
    part = (export(place / "flow", tmp_path / "part") / "README.md").read_text()
    assert "This is a part of a voice" in part and "speak --run" not in part and "embedded here: yes" in part


def test_which_runs_speak_and_which_listen(place):
    assert speaks(place / "voice") and not speaks(place / "flow") and not speaks(place / "nowhere")
    found = opened(Model(place / "voice"), ServeSettings())
    assert list(found) == ["speech"] and found["speech"].model == "voice"
    found["speech"].close()
    with pytest.raises(StentorError, match="nothing here can serve"):
        opened(Model(place / "vocoder"), ServeSettings())
    with pytest.raises(StentorError, match="does not say texts"):
        RunSpeaker(place / "flow").load_pretrained()
    with pytest.raises(StentorError, match="holds no run"):
        RunSpeaker(place).load_pretrained()


def test_the_command_line(place, tmp_path, capsys):
    target = tmp_path / "out.wav"
    words = ["speak", "red lamp", "--run", str(place / "voice"), "--voice", str(place / "3.wav"), "-o", str(target)]
    assert main([*words, "--style", "slow", "--seed", "3", "--temperature", "0.9"]) == 0
    assert soundfile.info(target).samplerate == 16000 and soundfile.info(target).frames
    assert main([*words, "--style", "emotion: happy", "--force"]) == 2
    assert "no emotion 'happy'" in capsys.readouterr().err
    (tmp_path / "texts.csv").write_text("text,voice\nred lamp,\nblue door,none.wav\n")
    batch = [
        "speak",
        "--batch",
        str(tmp_path / "texts.csv"),
        "--run",
        str(place / "voice"),
        "-o",
        str(tmp_path / "many"),
    ]
    assert main(batch) == 1 and "1 x there is no such file" in capsys.readouterr().out


def test_the_server(place, tmp_path):
    (tmp_path / "carla.wav").write_bytes((place / "3.wav").read_bytes())
    settings = ServeSettings(port=0)
    with running(opened(Model(place / "voice", voices=tmp_path), settings), settings) as address:
        plain = openai.DefaultHttpxClient(trust_env=False)
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, http_client=plain)
        told = client.get("/audio/voices", cast_to=object)["voices"]
        assert [one["id"] for one in told] == ["default", "ada", "bruno", "carla"]
        for voice in ("ada", "carla"):
            answer = client.audio.speech.create(model="voice", input="red lamp on.", voice=voice, response_format="wav")
            heard, _ = soundfile.read(io.BytesIO(answer.content), dtype="float32")
            asked = "ada" if voice == "ada" else tmp_path / "carla.wav"
            np.testing.assert_allclose(heard, said(place / "voice", voice=asked), atol=1e-4)
        with pytest.raises(openai.NotFoundError):
            client.audio.transcriptions.create(model="voice", file=("a.wav", b"x"))
