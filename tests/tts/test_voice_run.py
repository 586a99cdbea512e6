"""A run that speaks, from training to export, the command line and the server."""

import io
import json

import numpy as np
import openai
import pytest
import soundfile
import tiny_runs
from safetensors.torch import load_file

from stentor.cli.dispatch import main
from stentor.data import manifest
from stentor.errors import StentorError
from stentor.serve.server import opened, running
from stentor.serve.settings import Model, ServeSettings
from stentor.train.export import export
from stentor_tts.speaking.run import RunSpeaker, speaks
from stentor_tts.speaking.synthesiser import Synthesiser
from stentor_tts.speaking.teacher import RunVoice


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voice")
    tiny_runs.voice(folder)
    return folder


def said(folder, text="red lamp on.", **asked):
    speaker = RunSpeaker(folder)
    speaker.load_pretrained()
    return Synthesiser(speaker).speak(text, **asked)


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


def test_a_table_is_said_in_groups_and_each_row_is_what_it_is_alone(place, tmp_path, monkeypatch, capsys):
    rows = ["a,red lamp on.,,3", f"b,blue door,{place / '3.wav'},", "c,,,", "d,red door open now,ada,1", "e,lamp,,"]
    table, groups, say_whole = tmp_path / "texts.csv", [], RunSpeaker.say_whole
    table.write_text("\n".join(["id,text,voice,seed", *rows]) + "\n")

    def noted(self, sentences, wishes):
        groups.append(len(sentences))
        return say_whole(self, sentences, wishes)

    monkeypatch.setattr(RunSpeaker, "say_whole", noted)
    words = ["speak", "--batch", str(table), "--run", str(place / "voice"), "--temperature", "0.5"]
    assert main([*words, "-o", str(tmp_path / "whole")]) == 1 and groups == [4]
    made = manifest.load(tmp_path / "whole/spoken.jsonl.gz")
    assert [row.id for row in made] == ["a", "b", "d", "e"]
    assert json.loads((tmp_path / "whole/quarantine.jsonl").read_text())["where"] == f"{table}:4"
    alone = {"a": {"seed": 3}, "b": {"voice": place / "3.wav"}, "d": {"voice": "ada", "seed": 1}, "e": {}}
    for row in made:
        heard, _ = soundfile.read(row.audio, dtype="float32")
        np.testing.assert_allclose(heard, said(place / "voice", row.text, temperature=0.5, **alone[row.id]), atol=1e-4)

    def killed(self, sentences, wishes):
        if len(groups) > 1:
            raise KeyboardInterrupt
        return noted(self, sentences, wishes)

    groups.clear()
    monkeypatch.setattr(RunSpeaker, "together", 2)
    monkeypatch.setattr(RunSpeaker, "say_whole", killed)
    assert main([*words, "-o", str(tmp_path / "cut")]) == 130 and groups == [2, 1]
    monkeypatch.setattr(RunSpeaker, "say_whole", noted)
    assert main([*words, "-o", str(tmp_path / "cut")]) == 1 and groups == [2, 1, 1]
    again = manifest.load(tmp_path / "cut/spoken.jsonl.gz")
    assert [(row.id, row.frames, row.custom) for row in again] == [(row.id, row.frames, row.custom) for row in made]
    assert (tmp_path / "cut/quarantine.jsonl").read_text() == (tmp_path / "whole/quarantine.jsonl").read_text()


def test_a_run_as_a_teacher_says_several_texts_together(place, monkeypatch):
    groups, say_whole = [], RunSpeaker.say_whole
    monkeypatch.setattr(
        RunSpeaker, "say_whole", lambda self, *asked: groups.append(len(asked[0])) or say_whole(self, *asked)
    )
    teacher = RunVoice(folder=str(place / "voice"), prompt=str(place / "3.wav"), seed=4)
    texts, speeds = ["red lamp", "", "blue door open", "red door"], [1.0, 1.0, 1.0, 99.0]
    red, empty, blue, fast = teacher.speak_all(texts, speeds=speeds)
    assert groups == [2] and "nothing to say" in str(empty) and "speed: must be from" in str(fast)
    np.testing.assert_allclose(red, teacher.speak("red lamp"), atol=1e-5)
    np.testing.assert_allclose(blue, teacher.speak("blue door open"), atol=1e-5)
    np.testing.assert_allclose(teacher.speak_all(["red lamp"])[0], red, atol=1e-5)
    assert isinstance(RunVoice(folder=str(place / "voice"), prompt="none.wav").speak_all(["a"])[0], StentorError)


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
