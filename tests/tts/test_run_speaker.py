"""A run as a speaker: batches and singles, streams and wholes, voices, seeds, temperatures, marks."""

import numpy as np
import pytest
import torch
from tiny_speaker import SECTIONS, speaker, task

from stentor.errors import StentorError
from stentor_tts.inventory import Inventory
from stentor_tts.lm.streams import streams
from stentor_tts.lm.tail import MelTail
from stentor_tts.speaking.marking import marked, voice_of
from stentor_tts.speaking.reference import VoiceSample
from stentor_tts.speaking.speaker import Wish
from stentor_tts.speaking.synthesiser import Synthesiser
from stentor_tts.speaking.takes import Take, rendered
from stentor_tts.text.script import Manner, Sentence, Stretch

QUICK = Manner(rate=1.45)


def sentence(text, *more):
    return Sentence((Stretch(text), *more))


def voice(seed=0, text=""):
    noise = np.random.default_rng(seed).standard_normal(16000).astype(np.float32)
    return VoiceSample(f"voice{seed}", 0.1 * noise, text, f"digest{seed}{text}")


def said(who, text, **wish):
    chunks = list(who.say(sentence(text), Wish(**wish)))
    return np.concatenate(chunks) if chunks else np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def tiny():
    return speaker()


def test_a_batch_says_what_its_rows_say_alone(tiny):
    texts = ["turn", "one two", "fox"]
    wishes = [Wish(seed=1), Wish(voice(1), seed=2), Wish(voice(2), QUICK, 3)]
    found = [[] for _ in texts]
    tiny.say_all([sentence(text) for text in texts], wishes, lambda row, chunk: not found[row].append(chunk))
    for text, wish, chunks in zip(texts, wishes, found, strict=True):
        alone = np.concatenate(list(tiny.say(sentence(text), wish)))
        np.testing.assert_allclose(np.concatenate(chunks), alone, atol=1e-4)


def test_texts_said_together_are_what_each_is_alone(monkeypatch):
    """Several sentences, voices, seeds, temperatures and rates; one row's own fault costs that row."""
    who, rows = speaker(scales=("rate", "energy")), []
    say_whole = who.say_whole
    monkeypatch.setattr(who, "say_whole", lambda *given: rows.append(len(given[0])) or say_whole(*given))
    asked = [
        ("turn left\n\none two three", {"seed": 1}),
        ("quick fox", {"voice": voice(1), "seed": 2, "sample_rate": 8000}),
        ("<speak>one <prosody pitch='+4st'>two</prosody></speak>", {}),
        ("five", {"style": "fast", "seed": 3}),
        ("six seven", {"temperature": 0.0}),
        ("four five\n\nnine\n\nten", {"voice": voice(2), "sample_rate": 44100}),
    ]
    synthesiser = Synthesiser(who)
    found = synthesiser.speak_all([synthesiser.stream(text, **how) for text, how in asked])
    assert rows == [7, 1]
    assert isinstance(found[2], StentorError) and "no stretches that are high" in str(found[2])
    for (text, how), samples in zip(asked, found, strict=True):
        if not isinstance(samples, Exception):
            alone = synthesiser.speak(text, **how)
            assert len(samples) == len(alone) > 1000
            np.testing.assert_allclose(samples, alone, atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"vocoder": None}, {"acoustic": {**SECTIONS["acoustic"], "chunk": 0}}])
def test_a_whole_is_what_its_chunks_are(changes):
    """Rows of two seeds and of very different lengths."""
    who = speaker(**changes)
    texts, seeds = ["one two three four five six", "ten", "quick", "brown fox jumps at"], [1, 2, 1, 2]
    wishes = [Wish(voice(1) if seed == 2 else None, seed=seed) for seed in seeds]
    found = who.say_whole([sentence(text) for text in texts], wishes)
    for text, wish, samples in zip(texts, wishes, found, strict=True):
        alone = np.concatenate(list(who.say(sentence(text), wish)))
        assert samples.dtype == np.float32 and len(samples) == len(alone)
        np.testing.assert_allclose(samples, alone, atol=1e-5)


def test_what_is_rendered_together_is_of_one_seed_and_of_like_length():
    def renderer(codes, references, device, *, seed):
        asked.append((seed, [len(books[0]) for books in codes]))
        return [
            torch.full((len(books[0]),), float(reference)) for books, reference in zip(codes, references, strict=True)
        ]

    asked = []
    told = [(4, 1), (0, 1), (9, 0), (10, 1), (6, 0), (7, 1), (1, 0)]
    takes = [Take((torch.zeros(length, dtype=torch.int64),) if length else (), number, seed)
             for number, (length, seed) in enumerate(told)]  # fmt: skip
    found = rendered(renderer, takes, torch.device("cpu"))
    assert asked == [(0, [9, 6]), (0, [1]), (1, [10, 7]), (1, [4])]
    assert [len(samples) for samples in found] == [4, 0, 9, 10, 6, 7, 1]
    assert all((samples == number).all() for number, samples in enumerate(found))


def test_who_has_left_is_not_told_any_more(tiny):
    told, texts = [], ["one two", "six ten"]
    rows = [sentence(text) for text in texts]
    tiny.say_all(rows, [Wish(seed=1), Wish(seed=2)], lambda row, _: not told.append(row) and row == 1)
    assert told.count(0) == 1 and told.count(1) > 1
    left = []
    tiny.say_all([sentence("one two three")], [Wish()], lambda row, _: bool(left.append(row)))
    assert len(left) == 1


def test_seeds_and_temperatures(tiny):
    def codes(**wish):
        asked = Wish(**wish)
        found = streams(tiny.task.speech, tiny.task.model.backbone, [tiny._request(sentence("one two"), asked)],
                        tiny._sampling(asked))  # fmt: skip
        return [code for _, books, _ in found for book in books for code in book.tolist()]

    assert codes(seed=1) == codes(seed=1) != codes(seed=2)
    assert codes(seed=1, temperature=0.0) != codes(seed=1)
    assert np.array_equal(said(tiny, "one", seed=1), said(tiny, "one", seed=1))


def test_a_stream_is_what_the_whole_gives():
    """Codes in groups through acoustic model and vocoder, against all of them at once."""
    made = task()
    (request,) = [speaker()._request(sentence("one two three"), Wish(seed=3))]
    pieces = [codes for _, codes, _ in streams(made.speech, made.model.backbone, [request], made.speech.sampling)]
    whole = tuple(torch.cat(book) for book in zip(*pieces, strict=True))
    acoustic, vocoder = made.renderer.acoustic.built, made.renderer.vocoder.built
    tail = MelTail(acoustic, vocoder, None, 5)
    streamed = torch.cat([tail.push(codes, last=at + 1 == len(pieces)) for at, codes in enumerate(pieces)])
    (mel,) = acoustic.generate([whole], [None], seed=5)
    torch.testing.assert_close(streamed, vocoder(mel[None], torch.tensor([len(mel)]))[0], atol=1e-4, rtol=0)
    assert len(pieces) > 3 and len(whole[0]) == len(made.say([request])[0].codes[0])


def test_codes_come_as_they_are_made_and_the_last_is_told(tiny):
    made = tiny.task
    requests = [tiny._request(sentence(text), Wish(seed=1)) for text in ("one two three", "four")]
    told = list(streams(made.speech, made.model.backbone, requests, made.speech.sampling))
    for row, one in enumerate(made.say(requests)):
        mine = [(codes, last) for number, codes, last in told if number == row]
        assert [last for _, last in mine] == [False] * (len(mine) - 1) + [True]
        for book, found in zip(one.codes, zip(*(codes for codes, _ in mine), strict=True), strict=True):
            assert torch.equal(torch.cat(found), book)


@pytest.mark.parametrize("parts", [{"acoustic": None, "vocoder": None}, {"vocoder": None}])
def test_what_turns_codes_into_sound(parts):
    who = speaker(**parts)
    if "acoustic" in parts:
        with pytest.raises(StentorError, match="does not turn codes into sound"):
            said(who, "one")
    else:
        assert len(said(who, "one")) and type(who.task.renderer.vocoder.built).__name__ == "GriffinLim"


def test_a_voice_is_heard_once_and_the_last_few_are_kept(tiny, monkeypatch):
    heard = []
    codec = tiny.task.codec.built
    encode = type(codec).encode
    monkeypatch.setattr(type(codec), "encode", lambda self, *given: heard.append(1) or encode(self, *given))
    said(tiny, "one", voice=voice(7)), said(tiny, "two", voice=voice(7))
    assert len(heard) == 1
    for number in range(20, 40):
        tiny._prompt(voice(number))
    assert len(tiny._prompts) == 16


def test_an_example_is_continued_where_its_text_is_known_and_shown_where_that_was_taught(tiny):
    assert tiny._request(sentence("one"), Wish(voice(1))).prompt is None
    assert tiny._request(sentence("one"), Wish(voice(1, "two three"))).prompt.text == "two three"
    assert speaker(shown=0.5)._request(sentence("one"), Wish(voice(1))).prompt.text == ""
    asked = tiny._request(sentence("one"), Wish())
    assert tiny._tail(Wish(voice(1)), asked)._reference.mel.shape == (100, 80)
    assert tiny._tail(Wish(), asked)._reference is None
    place = tiny.task.clips.voices.index(asked.style.voice)
    tiny.task.clips.lengths[place] = torch.tensor([50, 4])
    assert tiny._tail(Wish(), asked)._reference.mel.shape == (50, 80)
    tiny.task.clips.lengths[place] = 0


def test_what_it_can_say_is_what_its_tokenizer_can_spell(tiny):
    assert [tiny.can_say(one) for one in "aT, ☃é9"] == [True, True, True, True, False, False, False]
    speech = Synthesiser(tiny).stream("é☃ one")
    assert len(list(speech)) and "1 character" in speech.told
    by_sound = speaker(text={"name": "phonemes"})
    assert [by_sound.can_say(one) for one in "é9,你ж"] == [True, True, True, False, False]
    assert not speaker(text={"name": "phonemes", "language": "de"}).can_say("☃")


def test_marks_for_the_run():
    own = Inventory(voices=("ada",))
    assert marked(sentence("one"), Manner(), own) == "one"
    assert marked(sentence("a [b]"), Manner(rate=0.85, volume=-12.0), own) == r"[style: rate=-1, energy=-2] a \[b\]"
    asked = Manner(traits=("style:whisper", "voice:ada"))
    assert marked(sentence("one"), asked, own) == "[style: style: whisper] one" and voice_of(asked) == "ada"
    two = sentence("one", Stretch("two", QUICK))
    assert marked(two, Manner(volume=6.0), own) == "[style: energy=+1] one [fast]two[/fast]"
    assert marked(Sentence((Stretch("all", QUICK),)), Manner(), own) == "[style: rate=+2] all"
    alike = Sentence((Stretch("one", Manner(rate=0.7)), Stretch("two", Manner(rate=0.7, volume=6.0))))
    assert marked(alike, Manner(), own) == "[style: rate=-2] one [loud]two[/loud]"
    with pytest.raises(StentorError, match="does not change its pitch"):
        marked(sentence("one"), Manner(pitch=3.0), Inventory(scales=("rate",)))
    for stretch, told in (
        (Manner(pitch=4.0), "no stretches that are high"),
        (Manner(rate=0.85, volume=6.0), "one manner at a time, not slow and loud at once"),
        (Manner(traits=("style:whisper",)), "no stretches that are whisper"),
        (Manner(volume=-54.0), "for silence write a break"),
    ):
        with pytest.raises(StentorError, match=told):
            marked(sentence("one", Stretch("two", stretch)), Manner(), own)


def test_what_cannot_be_is_refused_before_anything_is_said():
    who = speaker(scales=("rate", "energy"))
    text = '<speak>Quick fox. <prosody pitch="+4st">Jumps</prosody> over.</speak>'
    with pytest.raises(StentorError, match="no stretches that are high"):
        Synthesiser(who).stream(text).read()
    assert Synthesiser(who).stream("<speak>Quick fox.</speak>").read()


def test_marks_are_what_the_task_reads(tiny):
    request = tiny._request(sentence("one", Stretch("two", QUICK)), Wish(manner=Manner(0.7, traits=("style:whisper",))))
    assert dict(request.style.levels) == {"rate": -2} and request.style.styles == ("whisper",)
    assert list(request.marked.stretches()) == [("one", ""), ("two", "fast")]


@pytest.mark.parametrize(
    ("text", "styles", "levels", "stretches"),
    [
        ("[style: whisper, very slow] turn on [fast]the fox[/fast]", ("whisper",), {"rate": -2},
         [("turn on", ""), ("the fox", "fast")]),
        ("[style: very slow] one [loud]two[/loud] three", (), {"rate": -2},
         [("one", ""), ("two", "loud"), ("three", "")]),
        ("[style: very slow]\n\none\n\ntwo [fast]three[/fast]", (), {"rate": -2}, [("two", ""), ("three", "fast")]),
    ],
)  # fmt: skip
def test_a_style_of_the_whole_stands_beside_tags(tiny, text, styles, levels, stretches):
    *_, last = Synthesiser(tiny).stream(text).pieces()
    request = tiny._request(*last)
    assert (request.style.styles, dict(request.style.levels)) == (styles, levels)
    assert list(request.marked.stretches()) == stretches


def test_the_voice_is_one_by_name_or_the_first(tiny):
    who = speaker(voices=("Ada+f2", "bruno"), shown=0.5)
    assert who._request(sentence("one"), Wish()).style.voice == "Ada+f2"
    assert who._request(sentence("one"), Wish(manner=Manner(traits=("voice:bruno",)))).style.voice == "bruno"
    assert who._request(sentence("one"), Wish(voice(1))).style.voice == ""
    assert tiny._request(sentence("one"), Wish(voice(1))).style.voice == "ada"
    asked = Synthesiser(who).stream("one", voice="bruno")
    assert asked._wish.manner.traits == ("voice:bruno",) and asked._wish.voice is None
    inside = Synthesiser(who).stream("[style: voice: bruno] one", voice="Ada+f2")
    assert who._request(sentence("one"), inside._wish).style.voice == "bruno"
