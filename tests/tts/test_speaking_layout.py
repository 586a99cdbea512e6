"""Layouts of synthesis: what is laid out can be read again, and the loss falls on what has to be said, alone."""

import pytest
import tiny_lm
import torch

from stentor.errors import StentorError
from stentor.sequence.packing import pack
from stentor_tts.inventory import NEUTRAL, Inventory, Style, style_of
from stentor_tts.lm.layout import Utterance
from stentor_tts.lm.units import Spelling, Unit

STYLE = Style("ada", ("whisper",), "", (("rate", 2),))


def units(task, text="turn on the radio"):
    return task.lessons.spelling.units([(text, "")])


def utterance(task, groups=8, seed=0):
    words = units(task)
    step = task.spec.group
    ids = task.arrangement.pack(tiny_lm.codes(task, groups, seed))
    return Utterance(words, ids, [0, 2 * step, 2 * step, 5 * step][: len(words)])


@pytest.mark.parametrize("order", ["by-word", "text-first"])
def test_codes_and_text_are_all_there(order):
    task = tiny_lm.task(order=order)
    said = utterance(task)
    ids = pack([task.lessons.layout.example(STYLE, said)]).ids
    books = task.arrangement.books(ids)
    assert torch.equal(ids[books >= 0], said.codes)
    back = task.arrangement.unpack(ids[books >= 0])
    assert all(torch.equal(*pair) for pair in zip(back, tiny_lm.codes(task, 8), strict=True))
    text = [
        i for i in ids.tolist() if i < task.text.size and (order == "text-first" or i != task.lessons.spelling.space)
    ]
    assert task.text.decode(text).replace(" ", "") == "turnontheradio"
    controls = [task.vocabulary.control(name) for name in ("begin", *STYLE.controls())]
    assert ids[: len(controls)].tolist() == controls and ids[-1] == task.vocabulary.control("end")


@pytest.mark.parametrize("order", ["by-word", "text-first"])
def test_the_loss_is_on_codes_and_on_what_ends_words_and_utterances(order):
    task = tiny_lm.task(order=order)
    packed = pack([task.lessons.layout.example(STYLE, utterance(task), utterance(task, 3, 1).codes)])
    learnt = packed.targets[packed.targets >= 0]
    said = task.arrangement.books(learnt) >= 0
    assert int(said.sum()) == 8 * task.spec.group  # and none of the example in front
    ends = [task.vocabulary.control(name) for name in ("word", "end")]
    assert learnt[~said].tolist() == ([ends[0]] * 3 if order == "by-word" else []) + ends[1:]


def test_by_word_every_text_stands_before_its_codes_and_the_last_is_announced():
    task = tiny_lm.task()
    said = utterance(task)
    ids = pack([task.lessons.layout.example(Style(), said)]).ids.tolist()
    word, last = task.vocabulary.control("word"), task.vocabulary.control("last")
    begins = [place for place, i in enumerate(ids) if i == word]
    assert len(begins) == 4 and [i == last for i in ids].index(True) == begins[-1] + 1
    for number, begin in enumerate(begins):
        text = task.lessons.layout.texts(said.units)[number]
        assert ids[begin + 1 : begin + 1 + len(text)] == text
        part = said.part(number).tolist()
        assert ids[begin + 1 + len(text) : begin + 1 + len(text) + len(part)] == part


@pytest.mark.parametrize("order", ["by-word", "text-first"])
def test_a_prompt_is_how_an_example_begins(order):
    task = tiny_lm.task(order=order)
    layout, said = task.lessons.layout, utterance(task)
    example = pack([layout.example(STYLE, said, said.codes[:5])]).ids
    prompt = pack([layout.prompt(STYLE, said.units, like=said.codes[:5])]).ids
    assert torch.equal(example[: len(prompt)], prompt)
    longer = pack([layout.example(STYLE, said + said)]).ids
    going_on = pack([layout.prompt(STYLE, said.units, said)]).ids
    assert torch.equal(longer[: len(going_on)], going_on)


def test_words_in_a_span_carry_its_control():
    task = tiny_lm.task()
    found = task.lessons.spelling.units([("turn on", ""), ("the radio", "fast"), ("stop", "")])
    fast = task.vocabulary.control("span:fast")
    assert [task.lessons.layout.ids(unit)[0] == fast for unit in found] == [False, False, True, True, False]


@pytest.mark.parametrize("name", ["characters", "bytes", "bpe"])
def test_every_tokenizer_is_read_word_by_word(name):
    task = tiny_lm.task({**tiny_lm.SECTIONS, "text": {"name": name}})
    spelling = Spelling(task.text)
    assert (spelling.space is None) == (name == "bpe")
    found = spelling.units([("turn  on", ""), ("", ""), ("the radio", "fast")])
    assert [task.text.decode(unit.ids).strip() for unit in found] == ["turn", "on", "the", "radio"]
    ids, places = spelling.joined(found)
    assert [tuple(ids[p : p + len(unit.ids)]) for p, unit in zip(places, found, strict=True)] == [u.ids for u in found]
    assert [unit.tag for unit in found] == ["", "", "fast", "fast"]
    assert spelling.joined([]) == ([], []) and Unit(()) not in found


def test_rows_are_read_with_their_tags_and_styles():
    custom = [
        {"marked": "turn on [fast]the radio[/fast]", "style": {"rate": 1, "whisper": True}},
        {"style": {"sing": 3}},
        {},
    ]
    task = tiny_lm.task()
    loss = task.training_loss(tiny_lm.batch(task, custom=custom))
    assert loss.units == sum(loss.counts.values()) and set(loss.parts) == set(loss.counts)
    assert loss.parts.keys() == {"nats_linguistic", "nats_semantic", "nats_control"}
    total = sum(loss.parts[name] * count for name, count in loss.counts.items()) / loss.units
    assert float(loss.value.detach()) == pytest.approx(total, rel=1e-5)


def test_neutral_levels_ask_for_nothing_of_a_model_without_scales():
    bare = Inventory(styles=(), scales=(), spans=())
    assert style_of({"rate": 0, "energy": 0, "whisper": False}, bare) == NEUTRAL
    for told in ({"rate": 1}, {"tempo": 0}):
        with pytest.raises(StentorError, match="there is no style"):
            style_of(told, bare)


def test_brackets_of_a_transcript_are_no_tags():
    task = tiny_lm.task(texts=["a [fast] one"])
    batch = {**tiny_lm.batch(task, groups=(5,)), "texts": ["a [fast] one"]}
    assert torch.isfinite(task.training_loss(batch).value)


def test_what_speakers_said_is_shown_in_training_and_survives_a_resume():
    task = tiny_lm.task(shown=1.0).train()
    named = task.vocabulary.control("voice:ada")
    lessons, batch = task.lessons, tiny_lm.batch(task)
    from stentor_tts.lm.request import of_batch

    requests = of_batch(batch, task.inventory, lenient=True)
    first, second = (lessons.examples(requests, task.codes(batch), batch["speakers"]) for _ in range(2))
    assert named in pack(first[:1]).ids and named not in pack(second[:1]).ids
    assert sum(span.length for span in second[0]) > sum(span.length for span in first[0])
    other = tiny_lm.task(shown=1.0).train()
    other.load_training_state(task.training_state())
    assert other.lessons.memory.keys() == lessons.memory.keys() == {"ada", "bruno", "carla"}
    kept, there = other.lessons.memory["ada"], lessons.memory["ada"]
    assert torch.equal(kept.codes, there.codes) and list(kept.units) == list(there.units)


def test_codes_that_are_read_are_disturbed_in_training_and_never_those_to_be_said():
    task = tiny_lm.task(disturbed=0.3)
    packed = pack([task.lessons.layout.example(STYLE, utterance(task, 40, seed)) for seed in range(6)])
    assert task.lessons.disturbed(packed) is packed
    found = task.train().lessons.disturbed(packed)
    changed = found.ids != packed.ids
    assert torch.equal(found.targets, packed.targets) and torch.equal(found.weights, packed.weights)
    books = task.arrangement.books(packed.ids)
    assert torch.equal(task.arrangement.books(found.ids), books) and not changed[books < 0].any()
    assert 0.2 < changed[books >= 0].float().mean() < 0.35
