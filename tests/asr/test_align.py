"""Known text to audio: spelling, words, what is put aside, and the verb from end to end."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_whisper import needs_weights, noise, save

from stentor import cli, train
from stentor.data import manifest, quarantine
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor.plugins import registry
from stentor.sequence.tokenizers import BytePairs, Bytes, Characters
from stentor_asr.align.aligner import Item
from stentor_asr.align.attention import AttentionAligner
from stentor_asr.align.pauses import drawn
from stentor_asr.align.spelling import Speller
from stentor_asr.align.words import fit, places
from stentor_asr.transcribe.recogniser import Heard, Request, Segment, Word
from stentor_asr.whisper.word_times import alignment_heads, smoothed, warp

RATE = 8000
TEXTS = ["turn on the light", "it's a test of words", "play the next song"]


def trained(kind):
    tokenizer = kind()
    tokenizer.train(TEXTS)
    return tokenizer


@pytest.mark.parametrize("kind", [Characters, BytePairs, Bytes])
def test_each_word_is_spelled_by_its_tokens(kind):
    tokenizer = trained(kind)
    spelled = Speller(tokenizer)(["Turn on, the light!", "\N{EM DASH} it's a test"])
    said = [[tokenizer.decode(spelled.ids[unit.first : unit.last]).strip() for unit in line] for line in spelled.lines]
    written = [[unit.text for unit in line] for line in spelled.lines]
    assert [" ".join(line) for line in written] == ["Turn on, the light!", "\N{EM DASH} it's a test"]
    letters = [["".join(c for c in word.lower() if c.isalpha() or c == "'") for word in line] for line in said]
    assert letters == [["turn", "on", "the", "light"], ["it's", "a", "test"]]
    assert spelled.ids == tokenizer.encode(" ".join(" ".join(line) for line in said))


def test_letters_that_are_not_known_are_named():
    with pytest.raises(StentorError, match="does not know: 7 z"):
        Speller(trained(Characters))(["turn on z7"])
    with pytest.raises(StentorError, match="no word"):
        Speller(trained(Characters))(["...", "--"])


TIMES = st.floats(-5, 20, allow_nan=False)


@given(st.lists(st.tuples(TIMES, TIMES), max_size=15), st.floats(0, 10), st.floats(0.001, 10))
def test_words_that_are_fitted_lie_inside_in_order(times, start, length):
    words = fit([Word(a, b, "x") for a, b in times], start, start + length)
    assert len(words) == len(times)
    assert all(word.start < word.end for word in words)
    assert all(start <= word.start + 1e-9 and word.end <= start + length + 1e-9 for word in words)
    assert all(first.end <= second.start + 1e-9 for first, second in itertools.pairwise(words))


def test_words_that_fit_are_left_alone():
    words = (Word(0.5, 0.75, "a"), Word(0.75, 1.5, "b"))
    assert fit(words, 0.0, 2.0) == words


def test_places_of_words_in_a_text():
    words = [Word(0, 1, "a"), Word(1, 2, "a"), Word(2, 3, "b")]
    assert places(words, "a  a b") == [(0, 1), (3, 4), (5, 6)]


def tones(*stretches):
    """Audio at 16 kHz that is loud or silent for so many seconds: (seconds, loud)."""
    pieces = [0.3 * np.sin(np.arange(round(seconds * 16000)) / 5) * loud for seconds, loud in stretches]
    return np.concatenate(pieces).astype(np.float32)


def test_words_are_drawn_to_the_pauses_around_them():
    samples = tones((0.5, 0), (0.4, 1), (0.2, 0), (0.4, 1), (0.03, 0), (0.3, 1), (0.5, 0))
    rough = [Word(0.3, 0.8, "a"), Word(0.8, 1.45, "b"), Word(1.45, 2.1, "c")]
    first, second, third = drawn(rough, samples, 16000)
    assert [first.start, first.end, second.start] == pytest.approx([0.5, 0.9, 1.1], abs=0.011)
    assert second.end == third.start == 1.45, "too short a gap is no pause"
    assert third.end == pytest.approx(1.83, abs=0.011)
    assert drawn([], samples, 16000) == () and drawn(rough, samples[:100], 16000) == tuple(rough)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), max_size=8), st.integers(0, 99))
def test_words_that_are_drawn_stay_in_order(spans, seed):
    words = []
    for pause, length in spans:
        begin = (words[-1].end if words else 0.0) + pause
        words.append(Word(begin, begin + length, "x"))
    loud = np.repeat(np.random.default_rng(seed).choice([0.0, 0.3], 40), 1600).astype(np.float32)
    found = drawn(words, loud, 16000)
    assert len(found) == len(words) and all(word.start <= word.end for word in found)
    assert all(first.end <= second.start + 1e-9 for first, second in itertools.pairwise(found))


def warped_by_hand(costs):
    """Every cell in turn, as in OpenAI's timing.py."""
    rows, columns = costs.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    trace = np.zeros((rows + 1, columns + 1), int)
    total[0, 0] = 0
    for i, j in itertools.product(range(1, rows + 1), range(1, columns + 1)):
        both, down, right = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
        move = 0 if both < down and both < right else 1 if down < both and down < right else 2
        trace[i, j], total[i, j] = move, costs[i - 1, j - 1] + (both, down, right)[move]
    trace[0, :], trace[:, 0] = 2, 1
    i, j, path = rows, columns, []
    while i or j:
        path.append((i - 1, j - 1))
        move = trace[i, j]
        i, j = i - (move != 2), j - (move != 1)
    return np.array(path[::-1]).T


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (5, 5), (4, 30), (30, 4), (12, 60)])
def test_time_warping_is_that_of_every_cell_in_turn(shape):
    for seed in range(5):
        costs = np.random.default_rng(seed).normal(size=shape)
        np.testing.assert_array_equal(np.stack(warp(costs)), warped_by_hand(costs))


def test_smoothing_is_a_median_with_mirrored_ends():
    values = torch.tensor([[5.0, 1.0, 4.0, 2.0, 3.0, 9.0, 8.0, 7.0]])
    assert smoothed(values)[0, 0] == torch.tensor([2.0, 4.0, 1.0, 5.0, 1.0, 4.0, 2.0]).median()
    assert smoothed(values)[0, 4] == torch.tensor([1.0, 4.0, 2.0, 3.0, 9.0, 8.0, 7.0]).median()


def test_heads_come_from_the_checkpoint_or_are_the_upper_half():
    assert alignment_heads({"alignment_heads": [[1, 0], [2, 5]]}, 4, 6) == [(1, 0), (2, 5)]
    assert alignment_heads({}, 4, 2) == [(2, 0), (2, 1), (3, 0), (3, 1)]


@pytest.fixture
def whisper(tmp_path):
    save(tmp_path)
    built = registry().build("recogniser", "whisper", weights=str(tmp_path), device="cpu", language="en")
    built.load_pretrained()
    return built


def test_words_of_whisper_are_those_of_its_segments(whisper):
    windows = [noise(2.0), noise(5.0, 1), noise(0.5, 2)]
    plain, timed = whisper.recognise(windows), whisper.recognise(windows, Request(words=True))
    assert any(heard.segments for heard in plain)
    for before, after, window in zip(plain, timed, windows, strict=True):
        assert [segment.text for segment in after.segments] == [segment.text for segment in before.segments]
        words = [word for segment in after.segments for word in segment.words]
        assert all(first.end <= second.start for first, second in itertools.pairwise(words))
        assert all(0 <= word.start < word.end <= len(window) / 16000 + 0.02 for word in words)
        for segment in after.segments:
            assert " ".join(word.text for word in segment.words) == " ".join(segment.text.split())
            assert segment.words[0].start == segment.start and segment.words[-1].end == segment.end
            assert all(0 < word.confidence <= 1 for word in segment.words)


def test_attention_is_that_of_transformers(whisper):
    from stentor_asr.whisper.word_times import attention

    model = whisper._model
    encoded = torch.randn(2, 40, 32, generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(0, 290, (2, 9), generator=torch.Generator().manual_seed(1))
    heads = [(0, 1), (1, 0), (1, 1)]
    with torch.inference_mode():
        looks, hidden = attention(model.model.decoder, tokens, encoded, heads)
        model.set_attn_implementation("eager")
        made = model.model.decoder(tokens, encoder_hidden_states=encoded, output_attentions=True)
    for index, (layer, head) in enumerate(heads):
        torch.testing.assert_close(looks[:, index].softmax(-1), made.cross_attentions[layer][:, head])
    torch.testing.assert_close(model.model.decoder.layer_norm(hidden), made.last_hidden_state)


class Recipe:
    name = "fake"


class FakeTask(torch.nn.Module):
    """Hears a letter in every stretch of constant level: its number is the level in steps of 0.02."""

    sample_rate, frame_rate = RATE, 50.0

    def __init__(self):
        super().__init__()
        self.text = trained(Characters)

    def posteriors(self, batch):
        audio, hop = batch["audio"], RATE // 50
        levels = audio[:, : audio.shape[1] // hop * hop].unflatten(1, (-1, hop)).mean(-1)
        heard = (levels / 0.02).round().long().clamp(0, self.text.size)
        scores = torch.full((*heard.shape, self.text.size + 1), -8.0)
        return scores.scatter(2, heard[..., None], 6.0).log_softmax(-1), batch["audio_lengths"] // hop


TASK = FakeTask()


def spoken(path, text, letter=0.06, lead=0.2):
    """Audio that `FakeTask` hears as `text`: every letter for `letter` seconds, the first after `lead`."""
    levels = [0.0] * round(lead * 50)
    for i in TASK.text.encode(text):
        levels += [0.02 * (i + 1)] * round((letter - 0.02) * 50) + [0.0]
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.repeat(levels, RATE // 50), RATE, subtype="FLOAT")
    return path


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(train, "load", lambda folder, **_: (Recipe(), TASK))
    return ["--run", str(tmp_path / "run")]


def words_of(path):
    return [word for segment in json.loads(path.read_text())["segments"] for word in segment["words"]]


def test_words_lie_where_they_were_said(tmp_path, run, capsys):
    path = spoken(tmp_path / "a.wav", "turn on the light")
    (tmp_path / "a.txt").write_text("Turn on\nthe light.\n")
    assert cli.main(["align", str(path), "-o", str(tmp_path / "out"), "--format", "json", *run]) == 0
    assert "1 aligned, 0 left out" in capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "a.json").read_text())
    assert [segment["text"] for segment in content["segments"]] == ["Turn on", "the light."]
    found = words_of(tmp_path / "out" / "a.json")
    assert [word["text"] for word in found] == ["Turn", "on", "the", "light."]
    starts = [0.2 + 0.06 * at for at in (0, 5, 8, 12)]
    assert [word["start"] for word in found] == pytest.approx(starts, abs=0.011)
    assert [word["end"] for word in found] == pytest.approx(
        [start + 0.06 * n - 0.02 for start, n in zip(starts, (4, 2, 3, 5), strict=True)], abs=0.011
    )
    assert all(word["confidence"] > 0.9 for word in found)


def test_windows_of_long_audio_are_joined(tmp_path, run):
    text = " ".join(["turn on the light"] * 12)
    path = spoken(tmp_path / "a.wav", text, letter=0.2)
    (tmp_path / "a.txt").write_text(text)
    assert cli.main(["align", str(path), "-o", str(tmp_path), "--format", "json", *run]) == 0
    found = words_of(tmp_path / "a.json")
    ends = [at for at, letter in enumerate(text + " ") if letter == " "]
    starts = [0, *(at + 1 for at in ends[:-1])]
    assert found[-1]["end"] > 40
    assert [word["start"] for word in found] == pytest.approx([0.2 + 0.2 * at for at in starts], abs=0.021)


def test_bad_items_are_put_aside_and_the_rest_goes_on(tmp_path, run, capsys):
    said = {"good": "play the next song", "long": "turn on", "letters": "play", "empty": "play", "orphan": "play"}
    texts = {"good": "play the next song", "long": "turn on the light " * 9, "letters": "play 7", "empty": " \n"}
    for name, text in said.items():
        spoken(tmp_path / "in" / f"{name}.wav", text)
    for name, text in texts.items():
        (tmp_path / "in" / f"{name}.txt").write_text(text)
    (tmp_path / "in" / "noise.wav").write_bytes(b"no audio")
    (tmp_path / "in" / "noise.txt").write_text("play")
    assert cli.main(["align", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--format", "ctm", *run]) == 0
    assert [path.name for path in (tmp_path / "out").glob("*.ctm")] == ["good.ctm"]
    rows = {row.where.rpartition("/")[2]: row.reason for row in quarantine.read(tmp_path / "out" / "quarantine.jsonl")}
    assert set(rows) == {"long.wav", "letters.wav", "empty.wav", "orphan.wav", "noise.wav"}
    assert "too long for the audio" in rows["long.wav"] and "does not know: 7" in rows["letters.wav"]
    assert "orphan.txt is missing" in rows["orphan.wav"] and "empty.txt is empty" in rows["empty.wav"]
    out, err = capsys.readouterr()
    assert "1 aligned, 5 left out" in out and "quarantine.jsonl" in err


def test_tables_and_manifests(tmp_path, run, capsys):
    for name, text in zip("abc", TEXTS, strict=True):
        spoken(tmp_path / "in" / f"{name}.wav", text)
    table = tmp_path / "texts.tsv"
    table.write_text(f"a\t{TEXTS[0]}\nb.wav\t{TEXTS[1]}\n")
    assert cli.main(["align", str(tmp_path / "in"), "--text", str(table), "-o", str(tmp_path / "one"), *run]) == 0
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "a.TextGrid",
        "b.TextGrid",
        "quarantine.jsonl",
    ]
    info = soundfile.info(tmp_path / "in" / "c.wav")
    row = {"audio": str(tmp_path / "in" / "c.wav"), "sample_rate": RATE, "frames": info.frames}
    rows = [Utterance("deep/c", duration=info.duration, text=TEXTS[2], **row),
            Utterance("part", duration=info.duration - 0.1, start=0.1, text=TEXTS[2], **row),
            Utterance("silent", duration=info.duration, text="", **row)]  # fmt: skip
    manifest.save(tmp_path / "m.jsonl.gz", rows)
    words = ["align", "--text", str(tmp_path / "m.jsonl.gz"), "-o", str(tmp_path / "two"), "--format", "json", *run]
    assert cli.main(words) == 0
    whole, part = words_of(tmp_path / "two" / "deep" / "c.json"), words_of(tmp_path / "two" / "part.json")
    assert [a["start"] - b["start"] for a, b in zip(whole, part, strict=True)] == pytest.approx([0.1] * 4, abs=0.011)
    before = (tmp_path / "two" / "part.json").stat().st_mtime_ns
    assert cli.main(words) == 2
    assert "--force" in capsys.readouterr().err
    assert cli.main([*words, "--resume"]) == 0 and "2 were there already" in capsys.readouterr().out
    assert (tmp_path / "two" / "part.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("words", [[], ["--text", "nowhere.txt"], ["--batch", "0"], ["--language", "en"]])
def test_wrong_usage_of_align_is_one_sentence(tmp_path, run, capsys, words):
    path = spoken(tmp_path / "a.wav", "play")
    (tmp_path / "a.txt").write_text("play")
    given = [] if not words else [str(path)]
    assert cli.main(["align", *given, "-o", str(tmp_path / "out"), *run, *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@needs_weights
def test_text_through_whisper_end_to_end(tmp_path, capsys):
    voice = registry().build("voice", "espeak")
    samples = voice.speak("Please turn on the light in the kitchen.")
    soundfile.write(tmp_path / "a.wav", np.concatenate([np.zeros(voice.sample_rate, np.float32), samples]),
                    voice.sample_rate)  # fmt: skip
    (tmp_path / "a.txt").write_text("Please turn on the light in the kitchen.")
    assert cli.main(["align", str(tmp_path / "a.wav"), "-o", str(tmp_path), "--format", "json", "--device", "cpu"]) == 0
    found = words_of(tmp_path / "a.json")
    assert " ".join(word["text"] for word in found) == "Please turn on the light in the kitchen."
    assert 0.7 < found[1]["start"] < 2.2 and found[-1]["end"] > 2.0


class Windowed:
    """A recogniser of 2 s windows that hears the words it was told of, and forces any text evenly over a window."""

    sample_rate, window_seconds = RATE, 2.0

    def __init__(self, *heard):
        self.heard, self.forced = iter(heard), []

    def recognise(self, windows):
        return [Heard((Segment(0.0, 1.0, next(self.heard)),)) for _ in windows]

    def align(self, windows, texts):
        self.forced += [list(lines) for lines in texts]
        return [list(self.spread(len(window) / RATE, lines)) for window, lines in zip(windows, texts, strict=True)]

    def spread(self, seconds, lines):
        step, at = seconds / sum(len(line.split()) for line in lines), 0
        for line in lines:
            yield tuple(Word(step * (at + n), step * (at + n + 1), word) for n, word in enumerate(line.split()))
            at += len(line.split())


def loud(tmp_path, seconds):
    soundfile.write(tmp_path / "a.wav", noise(seconds)[: round(seconds * RATE)], RATE)
    return Item(Path("a"), tmp_path / "a.wav", seconds, ("One two, three", "four five six seven"))


def test_long_text_is_divided_by_what_is_heard(tmp_path):
    """Words that were not heard go with the word before them, wherever the lines end."""
    item, recogniser = loud(tmp_path, 4.0), Windowed("one too three", "for five six", "seven")
    ((_, found),) = AttentionAligner(recogniser).align([item])
    assert recogniser.forced == [["One two, three"], ["four five six"], ["seven"]]
    assert [segment.text for segment in found.segments] == ["One two, three", "four five six seven"]
    words = [word for segment in found.segments for word in segment.words]
    assert [word.text for word in words] == ["One", "two,", "three", "four", "five", "six", "seven"]
    assert all(first.end <= second.start + 1e-9 for first, second in itertools.pairwise(words))
    assert words[-1].end == pytest.approx(4.0, abs=0.01)


def test_what_whisper_cannot_align_is_put_aside(tmp_path):
    good, bad = loud(tmp_path, 1.5), loud(tmp_path, 1.5)
    long = replace(loud(tmp_path, 4.0), lines=("nothing of this",))
    fast = replace(bad, lines=("too many words " * 9,))
    recogniser = Windowed("what", "else", "is said")
    results = [result for _, result in AttentionAligner(recogniser, 4).align([good, fast, long, good])]
    told = [result.reason if isinstance(result, Rejected) else "" for result in results]
    assert told[0] == told[3] == ""
    assert "27 words, and there is time for" in told[1] and "no word of the text was heard" in told[2]
    with pytest.raises(StentorError, match="cannot align"):
        AttentionAligner(object())
