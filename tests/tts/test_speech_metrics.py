"""Metrics of what is spoken, on made outputs whose score is known."""

import math
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
import torch

from stentor.data import audio, manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.metric import Recording, Spoken
from stentor.plugins import registry
from stentor_tts.measures import naturalness, speaker
from stentor_tts.metrics import spans
from stentor_tts.metrics.control import WhisperControl, level_of
from stentor_tts.metrics.spans import EnergyLeak, EnergySpan, RateLeak, RateSpan, tagged_words
from stentor_tts.metrics.voices import NearestVoice

RATE = 16000
needs_resemblyzer = pytest.mark.skipif(find_spec("resemblyzer") is None, reason="resemblyzer is not installed")


def buzz(hertz, seconds=1.0, gain=0.2):
    time = np.arange(int(seconds * RATE)) / RATE
    return (gain * sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 6))).astype(np.float32)


def spoken(folder, name, wave, text="turn left", reference=None, prompt=None, speaker="eve", **custom):
    def kept(kind, samples):
        if samples is None:
            return None
        audio.write(folder / f"{name}-{kind}.wav", samples, RATE)
        return Recording(str(folder / f"{name}-{kind}.wav"))

    return Spoken(name, text, speaker, len(wave) / RATE, kept("output", wave), kept("reference", reference),
                  kept("prompt", prompt), custom)  # fmt: skip


def value(name, rows):
    counts = registry().build("metric", name).measure(rows)
    return sum(errors for errors, _ in counts) / sum(units for _, units in counts)


def test_control_is_the_rank_correlation_of_asked_and_measured(tmp_path):
    levels = [-2, -1, 0, 1, 2, None]
    rows = [
        spoken(tmp_path, f"{n}", buzz(100 * 2 ** (n / 6), 1.6 - 0.2 * n, 0.02 * 2**n),
               style={} if level is None else {"rate": level, "energy": level, "pitch": level})
        for n, level in enumerate(levels)
    ]  # fmt: skip
    for name in ("rate-control", "energy-control", "pitch-control"):
        assert value(name, rows) == pytest.approx(1.0)
        assert registry().build("metric", name).measure(rows)[-1] == (0.0, 0.0)
    turned = [spoken(tmp_path, f"t{n}", buzz(100, 1 + 0.2 * n), style={"rate": n}) for n in range(4)]
    assert value("rate-control", turned) == pytest.approx(-1.0)
    assert rows[0].notes["median_f0_hz"] == pytest.approx(100, rel=0.01)
    assert rows[3].notes["speech_level_db"] - rows[2].notes["speech_level_db"] == pytest.approx(6.02, abs=0.05)
    assert rows[0].notes["syllables_per_second"] == pytest.approx(2 / 1.6, rel=0.02)
    assert level_of({"style": {"rate": True}}, "rate") is None and level_of({"style": "fast"}, "rate") is None


def test_what_a_text_takes_by_itself_is_no_rate(tmp_path):
    texts, levels = ["stop", "please turn it down a little"], [-1, 0, 1]
    rows = [
        spoken(tmp_path, f"{text[:4]}{level}", buzz(100, (2 if text == "stop" else 1.9) * 2**-level), text,
               style={"rate": level})
        for text in texts for level in levels
    ]  # fmt: skip
    assert value("rate-control", rows) > 0.95, "each text from its own mean"
    once = [rows[0], rows[4], rows[2]]
    assert value("rate-control", once) < 0.6, "texts that are said once differ by themselves"


def test_whispering_is_speech_without_pitch(tmp_path):
    hiss = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    rows = [spoken(tmp_path, f"{n}", wave, style={"whisper": asked})
            for n, (wave, asked) in enumerate([(hiss, True), (buzz(120), False), (buzz(120), True)])]  # fmt: skip
    assert WhisperControl().measure([*rows, spoken(tmp_path, "x", hiss)]) == [(1, 1), (1, 1), (0, 1), (0, 0)]


def test_resynthesis_measures_know_a_gain_a_pitch_and_a_length(tmp_path):
    wave = buzz(150)
    same = spoken(tmp_path, "same", wave, reference=wave)
    half = spoken(tmp_path, "half", wave / 2, reference=wave)
    higher = spoken(tmp_path, "higher", buzz(150 * 2 ** (2 / 12)), reference=wave)
    longer = spoken(tmp_path, "longer", buzz(150, 1.5), reference=wave)
    assert value("mel-distance", [same]) == 0 and value("stft-distance", [same]) == 0
    assert 2 < value("mel-distance", [half]) <= 6.1, "6 dB where there is sound"
    assert value("pitch-distance", [higher]) == pytest.approx(2.0, abs=0.02)
    assert value("duration", [longer, same]) == pytest.approx(0.25)
    assert registry().build("metric", "mel-distance").measure([longer]) == [(0, 0)], "nothing lies at the same time"


@pytest.mark.parametrize("name", ["pesq", "stoi"])
def test_what_a_library_cannot_measure_does_not_count(tmp_path, name):
    pytest.importorskip({"pesq": "pesq", "stoi": "pystoi"}[name])
    silent = spoken(tmp_path, "a", np.zeros(RATE // 8, np.float32), reference=np.zeros(RATE // 8, np.float32))
    assert registry().build("metric", name).measure([silent]) == [(0, 0)]


def test_words_of_a_text_with_tags():
    told = tagged_words("please [slow]turn on[/slow] the [loud]light[/loud]")
    assert told == [("please", ""), ("turn", "slow"), ("on", "slow"), ("the", ""), ("light", "loud")]
    assert tagged_words("[fast]a [loud]b[/loud] c[/fast]") == [("a", "fast"), ("b", "loud"), ("c", "fast")]
    assert tagged_words("no tags") == [("no", ""), ("tags", "")]


SPEEDS = {"fast": 0.2, "slow": 0.4}
GAINS = {"loud": 0.4, "soft": 0.1}


def tagged(folder, name, tag, leak=0.0):
    """Four words, the second and third in the tag; `leak` of its effect is outside too."""
    lengths = [0.3 * (SPEEDS.get(tag, 0.3) / 0.3) ** (1 if inside else leak) for inside in (0, 1, 1, 0)]
    gains = [0.2 * (GAINS.get(tag, 0.2) / 0.2) ** (1 if inside else leak) for inside in (0, 1, 1, 0)]
    wave = np.concatenate([buzz(120, length, gain) for length, gain in zip(lengths, gains, strict=True)])
    row = spoken(folder, name, wave, "turn it up now", marked=f"turn [{tag}]it up[/{tag}] now")
    edges = np.cumsum([0, *lengths]).tolist()
    row.notes["words"] = [[word, *pair] for word, pair in
                          zip(row.text.split(), pairwise(edges), strict=True)]  # fmt: skip
    return row


@pytest.mark.parametrize("leak", [0.0, 0.25, 1.0, -0.5])
def test_the_effect_of_tags_inside_and_outside(tmp_path, leak):
    tags = ["fast", "slow", "loud", "soft", "fast"]
    rows = [tagged(tmp_path, f"{n}", tag, leak) for n, tag in enumerate(tags)]

    def ratio(metric):
        counts = metric.measure([*rows, spoken(tmp_path, "plain", buzz(120))])
        assert counts[-1] == (0, 0)
        return sum(errors for errors, _ in counts) / sum(units for _, units in counts)

    assert ratio(RateSpan()) == pytest.approx(math.log(2) / 2, rel=0.01)
    assert ratio(EnergySpan()) == pytest.approx(20 * math.log10(4) / 2, rel=0.02)
    assert ratio(RateLeak()) == pytest.approx(abs(leak), abs=0.03)
    assert ratio(EnergyLeak()) == pytest.approx(abs(leak), abs=0.03)


def test_tags_that_do_the_opposite_leak_without_measure(tmp_path):
    rows = [tagged(tmp_path, tag, tag, 0.2) for tag in ("fast", "slow", "loud", "soft")]
    opposite = {"fast": "slow", "slow": "fast", "loud": "soft", "soft": "loud"}
    rows = [replace(row, custom={"marked": row.custom["marked"].replace(row.id, opposite[row.id])}) for row in rows]
    assert sum(errors for errors, _ in RateSpan().measure(rows)) < 0
    assert RateLeak().measure(rows) == [(0, 0)] * 4 and EnergyLeak().measure(rows) == [(0, 0)] * 4


def test_tags_of_one_direction_alone_tell_no_effect(tmp_path):
    rows = [tagged(tmp_path, f"{n}", "fast") for n in range(2)]
    assert RateSpan().measure(rows) == [(0, 0)] * 2
    rows[0].notes["words"] = rows[0].notes["words"][:2]  # the aligner lost words
    assert RateSpan().measure(rows) == [(0, 0)] * 2


def test_an_aligner_that_cannot_place_words_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(spans.recognisers, "judge", lambda name: object())
    row = tagged(tmp_path, "0", "fast")
    row.notes.clear()
    with pytest.raises(StentorError, match="cannot place the words"):
        RateSpan().measure([row])


class Ear:
    """An encoder of voices that tells them by pitch alone."""

    def load_pretrained(self):
        return {}

    def embed(self, waves):
        from stentor_tts.measures.pitch import pitch

        angles = torch.tensor([pitch(wave, RATE).median for wave in waves]) / 400 * math.pi
        return torch.stack([angles.cos(), angles.sin()], 1)


def test_the_nearest_voice_is_told_among_those_of_the_set_and_a_manifest(monkeypatch, tmp_path):
    monkeypatch.setattr(speaker, "encoder", Ear)
    rows = [
        spoken(tmp_path, "0", buzz(105), prompt=buzz(100), speaker="low"),
        spoken(tmp_path, "1", buzz(170), reference=buzz(200), speaker="high"),
        spoken(tmp_path, "2", buzz(140), reference=buzz(200), speaker="high"),
        spoken(tmp_path, "3", buzz(140), speaker="unknown"),
    ]
    assert NearestVoice().measure(rows) == [(1, 1), (1, 1), (0, 1), (0, 0)]
    assert rows[2].notes["nearest_voice"]["voice"] == "low"
    assert NearestVoice().measure(rows[1:2]) == [(0, 0)], "there is no other voice"
    audio.write(tmp_path / "other.wav", buzz(165), RATE)
    other = Utterance("o", str(tmp_path / "other.wav"), 1.0, RATE, frames=RATE, speaker="other")
    manifest.save(tmp_path / "train.jsonl", [other])
    metric = NearestVoice(voices=str(tmp_path / "train.jsonl"))
    assert metric.measure(rows[1:2]) == [(0, 1)] and rows[1].notes["nearest_voice"]["voice"] == "other"
    assert metric.unspoken("x") == (0, 1)


@needs_resemblyzer
def test_a_voice_is_like_itself_and_unlike_another(tmp_path):
    low, high = buzz(90, 2.0), buzz(260, 2.0)
    rows = [spoken(tmp_path, "same", low * 0.95, prompt=low), spoken(tmp_path, "other", high, prompt=low),
            spoken(tmp_path, "own", low, reference=low), spoken(tmp_path, "bare", low)]  # fmt: skip
    (same, _), (other, _), (own, _), bare = registry().build("metric", "speaker-similarity").measure(rows)
    assert same > 0.98 and own == pytest.approx(1.0, abs=1e-5) and other < 0.9 and bare == (0, 0)
    encoder = speaker.encoder()
    assert torch.equal(encoder.embed([torch.zeros(RATE)]), torch.zeros(1, 256))
    both = encoder.embed([torch.from_numpy(low), torch.from_numpy(high)])
    assert torch.allclose(both[1], encoder.embed([torch.from_numpy(high)])[0], atol=1e-5)


def test_what_is_not_installed_is_told_with_the_package(monkeypatch):
    monkeypatch.setattr(speaker.util, "find_spec", lambda name: None)
    with pytest.raises(StentorError, match=r"'resemblyzer', which is not installed"):
        speaker.SpeakerEncoder().load_pretrained()
    monkeypatch.setattr(naturalness.util, "find_spec", lambda name: None)
    with pytest.raises(StentorError, match=r"'speechmos', which is not installed"):
        naturalness.Dnsmos()


def test_dnsmos_reads_windows_a_second_apart(monkeypatch, tmp_path):
    class Session:
        seen = []

        def run(self, _, given):
            self.seen.append(given["input_1"])
            return [np.array([[3.0, 3.0, 2.0]], np.float32)]

    monkeypatch.setattr(naturalness, "_file", lambda: tmp_path)
    made = naturalness.Dnsmos.__new__(naturalness.Dnsmos)
    made._known, made._session = {}, Session()
    opinion = made.rate(torch.ones(RATE) * 0.1)
    assert [x.shape for x in Session.seen] == [(1, 144160)]
    assert opinion.overall == pytest.approx(-0.06766283 * 4 + 1.11546468 * 2 + 0.04602535)
    made.rate(torch.ones(RATE) * 0.1)
    assert len(Session.seen) == 1, "it remembers"
    made.rate(torch.ones(12 * RATE) * 0.1)
    assert len(Session.seen) == 1 + 3
