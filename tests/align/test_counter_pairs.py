"""Counter-pairs: an answer to what was heard beats hiding, and hiding beats an answer to nothing."""

import pytest
import soundfile

from stentor.cli import main
from stentor.config import compose
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor_align.preferences.counter import KINDS, counter_pairs
from stentor_align.preferences.fields import pairs

DEAF = "i did not hear"


def rows():
    asked = {"clear": ("it is nine", DEAF, 2.5), "buried": (DEAF, "it is four", 1.0), "other": ("four", "ten", 0.5)}
    told = [
        Utterance(name, f"/{name}.wav", seconds, 16000, start=3.0, text="well", frames=99999, channels=2, channel=1,
                  custom={"chosen": {"text": better, "score": 1.0}, "rejected": worse, "answer": better})
        for name, (better, worse, seconds) in asked.items()
    ]  # fmt: skip
    return [*told, Utterance("text", "/text.wav", 1.0, 16000, text="zero"), Utterance("bare", "/bare.wav", 1.0, 16000),
            Utterance("odd", "/odd.wav", 1.0, 16000, custom={"chosen": {"txt": "nine"}})]  # fmt: skip


def test_what_can_be_heard_is_answered_and_the_deaf_reply_loses():
    found = list(counter_pairs(rows(), DEAF))
    made = {one.id: one for one in found if isinstance(one, Utterance)}
    assert [one.where for one in found if isinstance(one, Rejected)] == ["buried", "bare", "odd"]
    assert {name: [(p.chosen, p.rejected) for p in pairs(row.custom)] for name, row in made.items()} == {
        "clear-heard": [({"text": "it is nine"}, {"text": DEAF})],
        "other-heard": [({"text": "four"}, {"text": DEAF})],
        "text-heard": [({"text": "zero"}, {"text": DEAF})],
    }
    assert made["clear-heard"].custom["answer"] == "it is nine" and made["clear-heard"].audio == "/clear.wav"


def test_an_answer_loses_where_nothing_or_something_else_was_said(tmp_path):
    place = tmp_path / "silence.wav"
    found = list(counter_pairs(rows(), DEAF, kinds=("silent", "other"), silence=place, seed=4))
    made = {one.id: one for one in found if isinstance(one, Utterance)}
    silent, other = made["clear-silent"], made["clear-other"]
    assert silent.custom["chosen"] == {"text": DEAF} and silent.custom["rejected"] == {"text": "it is nine"}
    assert (silent.audio, silent.start, silent.duration, silent.channel) == (str(place), 0.0, 2.5, None)
    samples, rate = soundfile.read(place)
    assert rate == 16000 and len(samples) == silent.frames >= 2.5 * rate and not samples.any()
    assert other.custom["chosen"] == {"text": "it is nine"} and other.custom["rejected"]["text"] in ("four", "zero")
    assert (other.audio, other.start, other.channel) == ("/clear.wav", 3.0, 1)
    again = list(counter_pairs(rows(), DEAF, kinds=("silent", "other"), silence=place, seed=4))
    assert again == found
    (only,) = [one for one in counter_pairs(rows()[:1], DEAF, kinds=("other",)) if isinstance(one, Rejected)]
    assert only.reason == "there is no other answer"


def test_what_makes_no_sense_is_refused():
    for more in ({"deaf": " "}, {"kinds": ("loud",)}, {"kinds": ("silent",)}):
        with pytest.raises(StentorError):
            list(counter_pairs(rows(), **{"deaf": DEAF, **more}))


def test_the_command_adds_them_to_the_pairs_that_are_there(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    source, out = tmp_path / "in" / "pairs.jsonl.gz", tmp_path / "countered.jsonl.gz"
    words = ("one", "two", DEAF)
    manifest.save(source, [Utterance(f"row-{n}", "", 1.0, 0, text="?", custom={"instruction": "say", "chosen": word,
                                     "rejected": "well"}) for n, word in enumerate(words)])  # fmt: skip
    told = ["preferences", "counter", str(source), "-o", str(out), "--deaf", DEAF, "--kinds", "heard,other"]
    assert main(told) == 0
    found = manifest.load(out)
    assert [row.id for row in found] == ["row-0", "row-1", "row-2", "row-0-heard", "row-0-other", "row-1-heard",
                                         "row-1-other"]  # fmt: skip
    assert "7 rows; 1 dropped" in capsys.readouterr().out
    for wrong in (told[:5], [*told, "--samples", "3"], ["preferences", "export", *told[2:5], "--deaf", DEAF]):
        assert main(wrong) == 2 and "--" in capsys.readouterr().err


def test_the_recipe_trains_a_reward_model_on_them():
    found = compose("align/deaf")
    assert found.task == "reward-model" and found.config["data"]["train"].endswith("countered.jsonl.gz")
    assert set(KINDS) == {"heard", "silent", "other"}
