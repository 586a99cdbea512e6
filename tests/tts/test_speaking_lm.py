"""Speaking: what comes out is legal whatever is drawn, depends on its row alone, and needs no encoder."""

import gc
import random
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import tiny_lm
import torch

from stentor.data.collate import pad
from stentor.errors import StentorError
from stentor.interfaces.codec import Codec
from stentor.interfaces.encoder import Encoder
from stentor.train.initialise import Parent, initialise
from stentor_tts.lm.request import Prompt, of_batch, read
from stentor_tts.lm.streams import streams
from stentor_tts.tokenizer.coding import CodesAsFrames, frames, ungrouped


def requests(task):
    custom = [{"marked": "turn [fast]on[/fast]", "style": {"rate": 1}}, {"marked": "set noon"}, {}]
    return of_batch(tiny_lm.batch(task, custom=custom), task.inventory, lenient=False)


def same(one, other):
    return one.tokens == other.tokens and all(torch.equal(*pair) for pair in zip(one.codes, other.codes, strict=True))


@pytest.mark.parametrize("order", ["by-word", "text-first"])
@pytest.mark.parametrize("sections", [tiny_lm.SECTIONS, tiny_lm.EQUAL])
@pytest.mark.parametrize("arrangement", ["grouped", "delayed"])
def test_any_walk_through_the_grammar_gives_whole_groups_and_every_word_once(order, sections, arrangement):
    if arrangement == "delayed" and sections is tiny_lm.SECTIONS:
        (problem,) = type(tiny_lm.task()).check(sections, arrangement="delayed")
        assert "2:3" in problem.message and problem.path == "task.arrangement"
        return
    task = tiny_lm.task(sections, order=order, arrangement=arrangement)
    chance = random.Random(0)
    for request in requests(task):
        plan = task.speech.plan(request)
        state, tokens = plan.grammar.start(), []
        while tokens[-1:] != [task.speech.end]:
            allowed = plan.grammar.allowed(state).nonzero().flatten().tolist()
            tokens.append(chance.choice(allowed))
            assert len(tokens) <= plan.grammar.most
            state = plan.grammar.advance(state, tokens[-1])
        assert not plan.grammar.allowed(state).any()
        said = task.speech.said(tokens)
        sizes = [len(book) / count for book, count in zip(said.codes, task.spec.pattern, strict=True)]
        assert len(set(sizes)) == 1 and sizes[0] == int(sizes[0])
        text = [i for i in tokens if i < task.text.size]
        units = task.lessons.spelling.units(request.marked.stretches())
        expected = [i for unit in units[1:] for i in unit.ids] if order == "by-word" else []
        assert text == expected


def test_a_word_that_takes_too_long_gives_way():
    task = tiny_lm.task(slowest=20.0)
    request = requests(task)[0]
    grammar = task.speech.plan(request).grammar
    state, words, longest = grammar.start(), 0, 0
    while (allowed := grammar.allowed(state)).any():
        codes = task.arrangement.books(allowed.nonzero().flatten()) >= 0
        token = int(allowed.nonzero().flatten()[int(codes.nonzero()[0]) if codes.any() else 0])
        words += token == task.vocabulary.control("word")
        state = grammar.advance(state, token)
        longest = max(longest, state.groups)
    assert words == 1 and longest == task.speech.sampling.groups(4, task.spec)


@pytest.mark.parametrize("order", ["by-word", "text-first"])
def test_a_row_says_the_same_alone_streamed_and_in_a_batch(order):
    task = tiny_lm.task(order=order, temperature=1.0)
    asked = requests(task)
    together = task.say(asked)
    for request, said in zip(asked, together, strict=True):
        assert same(task.say([request])[0], said)
        groups = [codes for _, codes, _ in streams(task.speech, task.model.backbone, [request], task.speech.sampling)]
        assert all(len(book) == n for codes in groups for book, n in zip(codes, task.spec.pattern, strict=True))
        for book, pieces in zip(said.codes, zip(*groups, strict=True), strict=False):
            assert torch.equal(torch.cat(pieces), book)
    assert not same(*task.say([replace(asked[1], seed=1), replace(asked[1], seed=2)]))


def test_speaking_has_neither_codec_nor_encoder_in_memory_and_needs_none():
    """Checklist 1.5.10: the same tokens with the codec and its encoder in memory and without."""

    def alive():
        gc.collect()
        return {id(one): one for one in gc.get_objects() if issubclass(type(one), Codec | Encoder | CodesAsFrames)}

    before = alive()
    without = tiny_lm.task()
    said = without.say(requests(without))
    assert not alive().keys() - before.keys() and not without.codec.there and without.model.adapter is None
    beside = tiny_lm.task()
    encoder = beside.cached_encoder()
    encoder(torch.zeros(1, 16000), torch.tensor([16000]))
    assert len(alive().keys() - before.keys()) > 2 and beside.codec.there
    assert all(same(*pair) for pair in zip(beside.say(requests(beside)), said, strict=True))
    assert not [name for name in beside.state_dict() if name.startswith("codec")]


@pytest.mark.parametrize("sections", [tiny_lm.ALOUD, tiny_lm.EQUAL])
def test_what_is_streamed_comes_in_pieces_and_is_what_is_said_aloud(sections):
    """By an acoustic model and a vocoder that waits, and by a codec that streams."""
    task = tiny_lm.task(sections, slowest=20.0)
    if sections is tiny_lm.ALOUD:
        task = tiny_lm.task({**sections, "vocoder": {"name": "vocos", "dim": 16, "layers": 1}}, slowest=20.0)
    request = requests(task)[0]
    pieces = list(task.stream(request))
    (whole,) = task.aloud([request], task.say([request]))
    torch.testing.assert_close(torch.cat(pieces), whole, atol=1e-4, rtol=0)
    assert len(pieces) > 2


def test_codes_survive_the_cache():
    task = tiny_lm.task()
    audio = torch.randn(2, 16000 * 2).mul(0.1)
    lengths = torch.tensor([32000, 20000])
    rows, counts = task.cached_encoder()(audio, lengths)
    assert rows.dtype == torch.float32 and counts.tolist() == [16, 10]
    rows = rows.half().float()
    direct = task.codes({"audio": audio, "audio_lengths": lengths})
    for one, other in zip(direct, task.codes({"frames": rows, "frame_lengths": counts}), strict=True):
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize("order", ["by-word", "text-first"])
def test_cloning_by_example_and_by_going_on(order):
    task = tiny_lm.task(order=order, shown=0.5)
    example = tiny_lm.codes(task, 6, seed=9)
    asked = requests(task)[1]
    plain, shown, going_on = (
        task.speech.plan(replace(asked, prompt=prompt)).prompt.tolist()
        for prompt in (None, Prompt(example), Prompt(example, "stop radio"))
    )
    ids = task.arrangement.pack(example).tolist()
    like = task.vocabulary.control("like")
    assert like in shown and like not in going_on + plain
    assert [i for i in shown if i in task.speech.codes] == ids == [i for i in going_on if i in task.speech.codes]
    assert len(going_on) > len(shown) > len(plain)
    assert going_on[-1] in task.speech.codes if order == "text-first" else going_on[-1] < task.text.size
    said = task.say([replace(asked, prompt=Prompt(example, "stop radio"))])[0]
    assert len(said.codes[0]) % task.spec.pattern[0] == 0  # what was given is no part of what is said


def test_a_model_that_was_shown_no_examples_is_shown_none():
    task = tiny_lm.task()
    asked = requests(task)[1]
    prompted = replace(asked, prompt=Prompt(tiny_lm.codes(task, 6)))
    assert torch.equal(task.speech.plan(prompted).prompt, task.speech.plan(asked).prompt)


def test_rows_name_examples_of_a_voice(tmp_path):
    task = tiny_lm.task()
    soundfile.write(tmp_path / "ada.wav", torch.randn(16000).mul(0.1).numpy(), 16000)
    there, cpu = str(tmp_path / "ada.wav"), torch.device("cpu")
    assert task.examples.of_row({}, cpu) is None
    whole, part = (
        task.examples.of_row({"prompt": told}, cpu)
        for told in ({"audio": there, "text": "stop"}, {"audio": there, "start": 0.5, "duration": 0.4})
    )
    assert (whole.text, len(whole.codes[0]), whole.mel.shape) == ("stop", 16, (100, 80))
    assert (part.text, len(part.codes[0])) == ("", 6)
    for wrong in (5, {"path": there}, {"audio": str(tmp_path / "none.wav")}):
        with pytest.raises(StentorError):
            task.examples.of_row({"prompt": wrong}, cpu)


def test_a_run_begun_with_another_may_know_more_voices():
    parent = tiny_lm.task()
    fresh = tiny_lm.task(seed=1, state=parent.state(), texts=None, voices=["dora", "bruno"], emotions=["happy"])
    assert fresh.vocabulary.control("voice:bruno") == parent.vocabulary.control("voice:bruno")
    assert fresh.vocabulary.size == parent.vocabulary.size + 2
    parent.clips.lengths[1] = torch.tensor([4, 1])
    tensors = dict(parent.state_dict())
    initialise(fresh, Parent(Path("parent"), 1, parent.state(), tensors))
    for name in fresh.growing():
        assert torch.equal(fresh.state_dict()[name][: len(tensors[name])], tensors[name])
    assert fresh.clips.of("bruno").mel.shape == (4, 80) and fresh.clips.of("dora") is None
    packed = fresh.speech.plan(read("stop", fresh.inventory, voice="dora")).prompt
    assert fresh.vocabulary.control("voice:dora") in packed
    back = tiny_lm.task(seed=2, state=fresh.state(), texts=None, voices=["dora", "bruno"], emotions=["happy"])
    assert back.vocabulary.state() == fresh.vocabulary.state()
    with pytest.raises(StentorError, match="other codebooks"):
        tiny_lm.task({**tiny_lm.SECTIONS, "codec": {"name": "dual", "semantic": 31}}, state=parent.state(), texts=None)


def test_bad_requests_get_one_sentence():
    task = tiny_lm.task()
    with pytest.raises(StentorError, match="no word that can be said"):
        task.say([read("", task.inventory)])
    with pytest.raises(StentorError, match="no tag"):
        task.synthesise(tiny_lm.batch(task, custom=[{"marked": "[sing]la[/sing]"}, {}, {}]))
    with pytest.raises(StentorError, match="does not turn codes into sound"):
        task.synthesise(tiny_lm.batch(task))
    with pytest.raises(StentorError, match="slowest"):
        tiny_lm.task(slowest=0.0)


def test_rows_without_words_or_sound_teach_nothing_and_are_not_fatal():
    task = tiny_lm.task()
    batch = tiny_lm.batch(task, groups=(9, 0, 4))
    alone = tiny_lm.batch(task, groups=(9,))
    assert (
        task.training_loss({**batch, "texts": ["turn on the radio", "set", ""]}).units
        == task.training_loss(alone).units
    )
    with pytest.raises(StentorError, match="row-0"):
        task.training_loss({**batch, "texts": ["", "", ""]})


SOUNDS = {"red": (1, 2, 1, 2, 3), "blue": (7, 8, 7, 8, 9), "": (0, 0, 0, 0, 0)}
"""Two linguistic and three semantic codes of each word, and of silence."""


def lesson(task, texts):
    """Each word takes two groups; silence is around."""
    groups = [[SOUNDS[w] for word in ["", *text.split(), ""] for w in (word, word)] for text in texts]
    codes = [ungrouped(task.spec, torch.tensor(row)) for row in groups]
    rows, lengths = pad([frames(task.spec, row) for row in codes])
    told = {"ids": texts, "texts": texts, "speakers": ["" for _ in texts], "custom": [{} for _ in texts]}
    return {**told, "frames": rows, "frame_lengths": lengths}


def test_the_model_learns_to_say_what_it_is_told():
    texts = ["red", "blue", "red blue", "blue red"]
    task = tiny_lm.task(texts=texts, temperature=0.0, repetition_window=0, voices=[]).train()
    optimiser, batch = torch.optim.AdamW(task.parameters(), lr=1e-2), lesson(task, texts)
    for _ in range(80):
        optimiser.zero_grad()
        task.training_loss(batch).value.backward()
        optimiser.step()
    asked = texts[-2:]
    said = task.eval().say([read(text, task.inventory) for text in asked])
    for one, expected in zip(said, task.codes(lesson(task, asked)), strict=True):
        spoken, true = one.codes[0][one.codes[0] > 0], expected[0][expected[0] > 0]
        assert one.reason == "stop" and torch.equal(spoken, true)
