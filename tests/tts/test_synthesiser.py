"""Text to audio by whatever speaks: pauses, rates, peaks, styles, and a registered voice as a speaker."""

import io

import numpy as np
import pytest
import soundfile
from tones import RATE, Tones, level

from stentor.errors import StentorError
from stentor_tts.inventory import Inventory
from stentor_tts.sounding import fades, trimmed
from stentor_tts.speaking import formats
from stentor_tts.speaking.engine import EngineSpeaker
from stentor_tts.speaking.synthesiser import Synthesiser, peak_safe
from stentor_tts.text.script import Manner
from stentor_tts.text.style import levels, manner


def test_sentences_with_exact_silence_between():
    spoken = Synthesiser(Tones()).speak("One two. Three!\n\nfour")
    gap, paragraph = np.zeros(round(0.35 * RATE)), np.zeros(round(0.7 * RATE))
    whole = [level("One"), level("two."), gap, level("Three!"), paragraph, level("four")]
    np.testing.assert_array_equal(spoken, np.concatenate(whole).astype(np.float32))


def test_it_speaks_as_it_goes():
    speaker = Tones()
    stream = iter(Synthesiser(speaker).stream("One two. " + "And so on. " * 10_000))
    np.testing.assert_array_equal(next(stream), level("One"))
    assert speaker.words == ["One"]


@pytest.mark.parametrize("rate", [8000, 22050, 24000])
def test_another_rate_is_the_same_however_it_comes_in_chunks(rate):
    synthesiser = Synthesiser(Tones())
    whole = synthesiser.speak("a bb ccc. <speak> dd", sample_rate=rate)
    words = [level(word) for word in ("a", "bb", "ccc.")]
    from stentor.data.resample import resample

    first = resample(np.concatenate(words), RATE, rate)
    np.testing.assert_allclose(whole[: len(first)], first, atol=1e-6)
    assert not whole[len(first) : len(first) + round(0.35 * rate)].any()


def test_peaks_are_bent_and_the_rest_is_not_touched():
    loud = Synthesiser(Tones(amplitude=1.6)).speak("one two three")
    assert 0.97 < np.abs(loud).max() <= 1.0
    samples = np.linspace(-2, 2, 401, dtype=np.float32)
    bent = peak_safe(samples)
    quiet = np.abs(samples) <= 0.9
    np.testing.assert_array_equal(bent[quiet], samples[quiet])
    assert (np.diff(bent) >= 0).all() and np.abs(bent).max() <= 1.0 and bent.dtype == np.float32


def test_a_silent_break_before_and_after():
    spoken = Synthesiser(Tones()).speak("<speak><break time='1s'/>one<break time='500ms'/></speak>")
    assert not spoken[:RATE].any() and not spoken[-RATE // 2 :].any() and len(spoken) == RATE * 1.5 + len(level("one"))


TEXTS = [
    "One two. <b> Three!\n\nfour",
    "я",
    "<speak><break time='1s'/>one<break time='500ms'/></speak>",
    "the fuse. and more",
    "five six seven",
]


@pytest.mark.parametrize("together", [1, 2, 16])
def test_several_texts_together_are_what_each_is_alone(together):
    synthesiser = Synthesiser(Tones(amplitude=1.6))
    synthesiser.speaker.together = together
    asked = [{"style": style, "temperature": heat, "sample_rate": rate, "seed": 3}
             for style, heat, rate in zip(["", "", "slow", "", "soft"], [0.5, None, 0.0, None, None],
                                          [None, None, 8000, None, 22050], strict=True)]  # fmt: skip
    speeches = [synthesiser.stream(text, **how) for text, how in zip(TEXTS, asked, strict=True)]
    refused = StentorError("not this one")
    first, none, breaks, fuse, *rest = synthesiser.speak_all([*speeches, refused])
    for found, row in ((first, 0), (breaks, 2), (rest[0], 4)):
        np.testing.assert_array_equal(found, synthesiser.speak(TEXTS[row], **asked[row]))
    assert rest[1] is refused and "nothing of the text can be said" in str(none) and "the fuse is blown" in str(fuse)
    assert speeches[1].told == "1 character cannot be said and was left out: 'я' (1)." and not speeches[0].told


def test_what_is_said_together_is_of_one_temperature_and_of_like_length_and_said_once():
    speaker, groups = Tones(), []
    speaker.together = 2
    say_all = speaker.say_all

    def noted(sentences, wishes, told):
        groups.append([sentence.text for sentence in sentences])
        say_all(sentences, wishes, told)

    speaker.say_all = noted
    synthesiser = Synthesiser(speaker)
    asked = [("one.\n\nseventeen", None), ("two", None), ("a", 0.5), ("thirteen", None)]
    synthesiser.speak_all([synthesiser.stream(text, temperature=heat) for text, heat in asked])
    assert groups == [["two", "one."], ["thirteen", "seventeen"], ["a"]]
    assert len(speaker.words) == 5


def test_what_is_asked_reaches_the_speaker():
    speaker = Tones()
    Synthesiser(speaker).speak("one", style="slow, soft", speed=2.0, seed=7, temperature=0.5)
    ((_, wish),) = speaker.asked
    assert wish.manner == Manner(rate=1.7, volume=-6.0) and (wish.seed, wish.temperature) == (7, 0.5)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"style": "slwo"}, "no style 'slwo'. Did you mean 'slow'"),
        ({"speed": 9.0}, "speed: must be from 0.25 to 4"),
        ({"temperature": -1.0}, "temperature: must be from 0 to 2"),
        ({"sample_rate": 100}, "sample_rate: must be from 8000 to 48000"),
        ({"voice": "nowhere.wav"}, "no such file to take the voice from"),
        ({"voice": "adda"}, "voice: there is no voice 'adda', and no such recording. Did you mean 'ada'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_said(asked, told):
    speaker = Tones()
    speaker.inventory = Inventory(voices=("ada",))
    with pytest.raises(StentorError, match=told):
        Synthesiser(speaker).stream("one", **asked)
    assert not speaker.asked


def test_an_engine_takes_no_reference_and_draws_nothing():
    synthesiser = Synthesiser(EngineSpeaker("espeak"))
    with pytest.raises(StentorError, match="draws nothing"):
        synthesiser.stream("one", temperature=1.0)
    with pytest.raises(StentorError, match=r"'espeak' speaks in its own voice and takes no other; .*--run RUN"):
        synthesiser.stream("one", voice="ada")


def test_styles_are_words_or_levels():
    own = Inventory(emotions=("happy",))
    assert manner(" Very  slow,whisper, happy ", own) == Manner(rate=0.7, traits=("style:whisper", "emotion:happy"))
    assert manner("", own) == Manner() == manner(None, own)
    assert levels(manner({"rate": -2, "energy": 1}, own)) == {"rate": -2, "energy": 1, "pitch": 0}
    assert levels(Manner(rate=1.3, pitch=-9.0, volume=2.0)) == {"rate": 1, "energy": 0, "pitch": -2}


def test_a_voice_in_manners():
    pytest.importorskip("espeakng_loader", reason="the extra 'voices' is not installed")
    synthesiser = Synthesiser(EngineSpeaker("espeak"))
    plain = synthesiser.speak("seven boats on the river")
    assert len(synthesiser.speak("seven boats on the river", style="very fast")) < 0.85 * len(plain)
    loud = synthesiser.speak("<speak><prosody volume='-12dB'>seven boats on the river</prosody></speak>")
    assert np.abs(loud).max() == pytest.approx(np.abs(plain).max() / 4, rel=0.02)
    higher = synthesiser.speak("seven boats on the river", style="very high")
    assert abs(len(higher) / len(plain) - 1) < 0.1 and strongest(higher) > 1.1 * strongest(plain)
    assert not np.array_equal(synthesiser.speak("seven boats on the river", style="whisper"), plain)


def strongest(samples):
    """Where the lowest strong partial lies (Hz), by autocorrelation."""
    power = np.fft.irfft(np.abs(np.fft.rfft(samples, 1 << 17)) ** 2)
    return 22050 / (np.argmax(power[22050 // 300 : 22050 // 60]) + 22050 // 300)


def test_silence_at_the_ends_of_an_utterance_goes():
    speech = np.concatenate([np.zeros(4000), level("abcabcabcabc"), np.zeros(9000)]).astype(np.float32)
    kept = trimmed(speech, RATE, 0.02) * fades(len(trimmed(speech, RATE, 0.02)), RATE, 0.005)
    assert len(kept) == pytest.approx(len(level("abcabcabcabc")) + 0.04 * RATE, abs=2 * 160)
    assert not len(trimmed(np.zeros(300, np.float32), RATE, 0.02)) and abs(kept[0]) < 1e-3


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "ogg", "opus"])
def test_every_format_in_chunks_and_as_a_file(form, tmp_path):
    rate = formats.rate_for(form, 22050)
    spoken = Synthesiser(Tones()).speak("this is a text of several words", sample_rate=rate)
    encoder = formats.Encoder(form, rate)
    coded = b"".join(encoder.push(spoken[at : at + 1000]) for at in range(0, len(spoken), 1000)) + encoder.close()
    path = tmp_path / f"x.{form}"
    assert formats.form_of(path) == form
    whole = formats.Encoder(form, rate, path)
    assert whole.push(spoken) == b"" == whole.close()
    for source in (io.BytesIO(coded), path):
        read, found = soundfile.read(source)
        assert found == rate and len(spoken) <= len(read) <= len(spoken) + 3000
        if form in ("wav", "flac"):
            np.testing.assert_allclose(read, spoken, atol=1e-4)


def test_what_libsndfile_cannot_write_is_a_refusal_of_the_system(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        formats.Encoder("wav", 16000, tmp_path / "none" / "x.wav")

    def full(*_, **__):
        raise soundfile.LibsndfileError(2)

    encoder = formats.Encoder("wav", 16000, tmp_path / "x.wav")
    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    with pytest.raises(OSError, match="System error"):
        encoder.push(np.zeros(10, np.float32))


def test_raw_samples_and_endings():
    samples = np.array([0, 1, -1, 0.5], np.float32)
    assert formats.Encoder("pcm", 16000).push(samples) == np.array([0, 32767, -32767, 16384], "<i2").tobytes()
    with pytest.raises(StentorError, match="names no audio format"):
        formats.form_of(formats.Path("x.aac"))
