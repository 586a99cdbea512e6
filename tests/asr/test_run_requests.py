"""Trained runs answer requests: words with times and confidences, beams, hotwords; their decoder can be exchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from stentor import cli, train
from stentor.config import compose
from stentor.errors import StentorError
from stentor.evaluate import subjects
from stentor.interfaces.decoder import SearchDecoder
from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.sequence.tokenizers import Characters
from stentor_asr.ctc import CTCTask
from stentor_asr.decoders.beam import CTCBeam
from stentor_asr.decoders.greedy import CTCGreedy
from stentor_asr.decoders.words import spelled
from stentor_asr.transcribe.recogniser import Request
from stentor_asr.transcribe.trained_run import TrainedRun

RATE = 500  # 10 frames/s of 50 samples
LETTERS = "abdogct "


class Painted(Encoder):
    """Frames are read off the audio: every 50 samples begin with logits of blank, unknown and the letters."""

    dim, frame_rate, sample_rate = 2 + len(LETTERS), 10.0, RATE

    @classmethod
    def spec(cls, **_: object) -> EncoderSpec:
        return EncoderSpec(2 + len(LETTERS), 10.0, RATE)

    def frames(self, samples):
        return samples // 50

    def forward(self, audio, lengths):
        return 10 * audio.unflatten(1, (-1, 50))[:, :, : self.dim], lengths // 50


@dataclass
class Recipe:
    name: str = "painted"


def task(decoder):
    text = Characters()
    text.train([" ".join(LETTERS.replace(" ", ""))])
    built = CTCTask(Painted(), text, decoder).eval()
    with torch.no_grad():
        built.out.weight.copy_(torch.eye(built.encoder.dim))
        built.out.bias.zero_()
    return built


def painted(built, path):
    """Audio whose posteriors say a path of letters, ``.`` for blanks; {letter: logit} makes a frame doubtful."""
    frames = np.zeros((len(path), 50), np.float32)
    for frame, said in zip(frames, path, strict=True):
        for letter, logit in (said if isinstance(said, dict) else {said: 1.0}).items():
            frame[0 if letter == "." else built.text.encode(f"a{letter}a")[1] + 1] = logit
    return frames.ravel()


@pytest.fixture
def recogniser(monkeypatch, tmp_path, request):
    built = task(getattr(request, "param", CTCGreedy)())
    monkeypatch.setattr(train, "load", lambda folder, **_: (Recipe(), built))
    run = TrainedRun(tmp_path, device="cpu")
    run.load_pretrained()
    return run


class Narrow(SearchDecoder):
    capabilities = frozenset({"beam"})

    def hypotheses(self, log_probs, lengths, *, best=1, hotwords=None, beam=None):
        self.refuse(hotwords, beam)
        return CTCGreedy().hypotheses(log_probs, lengths)


@pytest.mark.parametrize("recogniser", [Narrow], indirect=True)
def test_a_decoder_that_takes_no_hotwords_is_not_swapped_for_one_without_its_model(recogniser):
    assert recogniser.abilities == {"beam", "words"}
    with pytest.raises(StentorError, match="cannot do: hotwords; it offers beam, words"):
        recogniser.recognise([painted(recogniser._task, ["a"])], Request(hotwords={"a": 1.0}))
    assert recogniser.recognise([painted(recogniser._task, ["a"])], Request(beam=2))[0].segments[0].text == "a"


DOUBTFUL = ["d", ".", {"a": 0.5, "o": 0.45}, ".", {"b": 0.5, "g": 0.45}]


def test_a_ctc_run_tells_words_times_and_confidences(recogniser):
    window = painted(recogniser._task, ["a", "a", ".", " ", "b", "b", ".", {"a": 0.5, "o": 0.4}])
    (plain,), (heard,) = recogniser.recognise([window]), recogniser.recognise([window], Request(words=True))
    assert plain.segments[0].words == () and plain.segments[0].text == heard.segments[0].text == "a ba"
    first, second = heard.segments[0].words
    assert (first.text, first.start, first.end) == ("a", pytest.approx(0.0), pytest.approx(0.2))
    assert (second.text, second.start, second.end) == ("ba", pytest.approx(0.4), pytest.approx(0.8))
    assert first.confidence > 0.99 > 0.9 > second.confidence > 0.5
    assert first.confidence > heard.segments[0].confidence > second.confidence
    assert recogniser.recognise([painted(recogniser._task, [".", "."])])[0].segments == ()


@pytest.mark.parametrize("recogniser", [CTCGreedy, CTCBeam], indirect=True)
def test_hotwords_turn_what_is_doubtful_and_leave_nothing_behind(recogniser):
    window, sure = painted(recogniser._task, DOUBTFUL), painted(recogniser._task, ["c", "a", "t"])
    asked = Request(hotwords={"dog": 4.0, "bat": 4.0}, words=True)
    for request, due in ((Request(), "dab"), (asked, "dog"), (Request(), "dab"), (Request(beam=4), "dab")):
        heard = recogniser.recognise([window, sure], request)
        assert [one.segments[0].text for one in heard] == [due, "cat"]
    with pytest.raises(StentorError, match="cannot spell"):
        recogniser.recognise([window], Request(hotwords={"xyz": 1.0}))
    with pytest.raises(StentorError, match="cannot do: language"):
        recogniser.recognise([window], Request(language="fr"))


def test_a_task_that_only_aligns_offers_words(monkeypatch, tmp_path):
    built = task(CTCGreedy())
    monkeypatch.setattr(train, "load", lambda folder, **_: (Recipe(), built))
    monkeypatch.setattr("stentor_asr.transcribe.trained_run.Recognising", type("Never", (), {}))
    run = TrainedRun(tmp_path, device="cpu")
    run.load_pretrained()
    assert run.abilities == {"words"}
    (heard,) = run.recognise([painted(built, ["a", ".", " ", "b", "a"])], Request(words=True))
    assert [(word.text, round(word.start, 3), round(word.end, 3)) for word in heard.segments[0].words] == [
        ("a", 0.0, 0.1),
        ("ba", 0.3, 0.5),
    ]
    with pytest.raises(StentorError, match="cannot do: hotwords"):
        run.recognise([painted(built, ["a"])], Request(hotwords={"a": 1.0}))


def test_tokens_without_spaces_are_grouped_by_the_text():
    tokens = [("the", 0.0, 0.2), ("ca", 0.3, 0.4), ("t", 0.4, 0.5), (" ", 0.5, 0.6), ("s", 0.6, 0.7), ("at", 0.7, 0.9)]
    found = [(word.text, word.start, word.end) for word in spelled("the cat sat", tokens)]
    assert found == [("the", 0.0, 0.2), ("cat", 0.3, 0.5), ("sat", 0.6, 0.9)]
    assert spelled("the dog", tokens) == []


def test_the_decoder_of_a_run_can_be_exchanged_and_nothing_else():
    recipe = compose("asr/ctc")
    assert recipe.decoders == ["decoder"]
    changed = recipe.exchanged(["decoder=ctc-beam", "decoder.beam=32", "decoder.lm=some.arpa"])
    assert changed.config["decoder"] | {"beam": 32, "lm": "some.arpa"} == changed.config["decoder"]
    assert changed.config["decoder"]["name"] == "ctc-beam" and recipe.config["decoder"] == {"name": "ctc-greedy"}
    assert {key: value for key, value in changed.config.items() if key != "decoder"} == {
        key: value for key, value in recipe.config.items() if key != "decoder"
    }
    assert changed.exchanged(["decoder.beam=4"]).config["decoder"]["lm"] == "some.arpa"
    for words, told in {
        ("encoder.dim=8",): "only the decoder",
        ("decoder=ctc-bean",): "ctc-bean",
        ("decoder=ctc-beam", "decoder.beem=4"): "beem",
    }.items():
        with pytest.raises(StentorError, match=told):
            recipe.exchanged(words)


def test_evaluate_tells_a_decoder_from_a_set(monkeypatch, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(compose("asr/ctc").to_yaml())
    told = {}

    def of_run(folder, output, changes, swaps, decoders):
        told.update(changes=changes, decoders=decoders)
        raise StentorError("that is all")

    monkeypatch.setattr(subjects, "of_run", of_run)
    words = ["mine=some.jsonl.gz", "decoder=ctc-beam", "evaluate.bootstrap=100", "decoder.beam=4"]
    assert cli.main(["evaluate", str(tmp_path), *words]) != 0
    assert told == {"changes": ["evaluate.bootstrap=100"], "decoders": ["decoder=ctc-beam", "decoder.beam=4"]}


def test_another_model_in_the_same_file_is_another_evaluation(monkeypatch, tmp_path):
    recipe = compose("asr/ctc").exchanged(["decoder=ctc-beam", f"decoder.lm={tmp_path / 'lm.arpa'}"])
    monkeypatch.setattr(train, "load", lambda folder, **_: (recipe, task(CTCGreedy())))
    found = []
    for content in ("one", "two", "two"):
        (tmp_path / "lm.arpa").write_text(content)
        found.append(subjects.of_run(tmp_path, None, ())[0].identity)
    assert found[0] != found[1] == found[2]
