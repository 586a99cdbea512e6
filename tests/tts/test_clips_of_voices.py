"""Named voices speak in their own sound: a clip of each is kept with the model."""

import soundfile
import tiny_lm
import torch

from stentor.data.utterance import Utterance
from stentor_tts.interfaces import Reference
from stentor_tts.lm.request import Prompt, read
from stentor_tts.mel import log_mel


def recorded(folder, name, seconds, speaker, **custom):
    generator = torch.Generator().manual_seed(len(name))
    samples = torch.randn(round(16000 * seconds), generator=generator).mul(0.1).numpy()
    soundfile.write(folder / f"{name}.wav", samples, 16000, subtype="FLOAT")
    path = str(folder / f"{name}.wav")
    return Utterance(name, path, seconds, 16000, text="turn on the radio", speaker=speaker, custom=custom)


def rows(folder):
    return [
        recorded(folder, "short", 1.0, "ada"),
        recorded(folder, "plain", 2.5, "ada"),
        recorded(folder, "whispered", 3.0, "ada", style={"whisper": True}),
        recorded(folder, "tagged", 3.0, "ada", marked="turn [loud]on[/loud] the radio"),
        recorded(folder, "stranger", 3.0, "carla"),
    ]


def test_the_clip_is_the_plain_row_closest_to_three_seconds(tmp_path):
    task = tiny_lm.task(tiny_lm.ALOUD)
    found = rows(tmp_path)
    task.acquaint(found)
    clip = task.clips.of("ada")
    wave = torch.from_numpy(soundfile.read(found[1].audio, dtype="float32")[0])
    assert torch.equal(clip.mel, log_mel(wave))
    coded = task.codec.built.encode(wave[None], torch.tensor([len(wave)]))[0]
    assert all(torch.equal(*pair) for pair in zip(clip.codes, coded, strict=True))
    assert task.clips.of("bruno") is None and task.clips.of("carla") is None


def test_a_clip_that_cannot_be_read_gives_way_to_the_next(tmp_path):
    task = tiny_lm.task(tiny_lm.ALOUD)
    found = rows(tmp_path)
    (tmp_path / "plain.wav").unlink()
    task.acquaint(found)
    assert len(task.clips.of("ada").mel) == 100


def test_a_long_clip_is_cut_and_survives_saving(tmp_path):
    task = tiny_lm.task(tiny_lm.ALOUD)
    task.acquaint([recorded(tmp_path, "long", 5.0, "bruno")])
    other = tiny_lm.task(tiny_lm.ALOUD, seed=1)
    other.load_state_dict(task.state_dict())
    kept, there = task.clips.of("bruno"), other.clips.of("bruno")
    assert len(kept.mel) == 300 and len(kept.codes[0]) == 50
    assert torch.equal(kept.mel, there.mel) and torch.equal(kept.codes[1], there.codes[1])


def test_an_example_comes_before_the_clip_and_the_clip_before_nobody(tmp_path):
    task = tiny_lm.task(tiny_lm.ALOUD)
    task.acquaint(rows(tmp_path))
    named = read("stop", task.inventory, voice="ada")
    assert isinstance(task.reference(named), Reference) and task.reference(read("stop", task.inventory)) is None
    prompt = Prompt(tiny_lm.codes(task, 3), "", torch.zeros(36, 80))
    asked = type(named)(named.marked, named.style, prompt)
    assert task.reference(asked).mel is prompt.mel


def test_without_an_acoustic_model_nothing_is_heard(tmp_path):
    task = tiny_lm.task()
    task.acquaint(rows(tmp_path))
    assert task.clips.of("ada") is None and not task.codec.there


def test_rows_of_strangers_are_said_in_the_first_voice_and_examples_in_their_own(monkeypatch):
    task, heard = tiny_lm.task(), []
    monkeypatch.setattr(task, "say", lambda requests: heard.extend(requests) or [])
    monkeypatch.setattr(task, "aloud", lambda requests, said: [])
    prompt = Prompt(tiny_lm.codes(task, 3))
    monkeypatch.setattr(task.examples, "of_row", lambda custom, device: prompt if custom else None)
    task.train().synthesise(tiny_lm.batch(task, custom=[{}, {"prompt": "x.wav"}, {}]))
    assert [one.style.voice for one in heard] == ["ada", "bruno", "ada"]
    assert [one.prompt for one in heard] == [None, prompt, None]
