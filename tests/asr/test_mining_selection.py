"""Choosing by hours, the guard, and where the attention lies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stentor.data.augment.noise import coloured_noise, mix
from stentor_asr.mining.quality import Guard, measure
from stentor_asr.mining.selection import Judged, attended, choose

RATE = 16000


def judged(name, seconds, hardness, flags=()):
    return Judged(name, seconds, hardness, 0.5, 0.5, (), "", {}, tuple(flags))


ROWS = st.lists(st.tuples(st.floats(0.1, 30), st.floats(0, 1), st.booleans()), max_size=40)


def pool_of(rows):
    return [judged(f"u{i:03d}", s, h, ("babble",) if bad else ()) for i, (s, h, bad) in enumerate(rows)]


@given(ROWS.map(pool_of), st.floats(0.5, 200), st.sampled_from([0.0, 0.3, 1.0]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_never_over_budget_never_twice_and_nothing_more_would_fit(pool, seconds, drawn, guard):
    chosen = choose(pool, seconds, guard=guard, drawn=drawn, seed=3)
    names = [choice.judged.id for choice in chosen]
    total = sum(choice.judged.seconds for choice in chosen)
    assert total <= seconds + 1e-9 and len(set(names)) == len(names)
    assert not (guard and any(choice.judged.flags for choice in chosen))
    left = [one.seconds for one in pool if one.id not in names and not (guard and one.flags)]
    assert all(one > seconds - total - 1e-9 for one in left)
    assert chosen == choose(pool[::-1], seconds, guard=guard, drawn=drawn, seed=3)


def test_hardest_first_and_ranks_are_of_the_pool():
    pool = [judged("a", 5, 0.2), judged("b", 5, 0.9), judged("c", 50, 0.8), judged("d", 5, 0.5)]
    chosen = choose(pool, 11)
    assert [(choice.judged.id, choice.rank) for choice in chosen] == [("b", 1), ("d", 3)]


def test_a_share_is_drawn_from_the_rest():
    pool = [judged(f"u{i:02d}", 1, 1 - i / 50) for i in range(50)]
    chosen = choose(pool, 20, drawn=0.5, seed=1)
    assert [choice.judged.id for choice in chosen[:10]] == [f"u{i:02d}" for i in range(10)]
    assert [choice.drawn for choice in chosen] == [False] * 10 + [True] * 10
    assert chosen[10:] != choose(pool, 20, drawn=0.5, seed=2)[10:]


def test_attended_stretches_hold_half_of_the_attention():
    times = [(0.1 * i, 0.1 * (i + 1)) for i in range(10)]
    weights = [0.02, 0.02, 0.2, 0.25, 0.02, 0.02, 0.02, 0.3, 0.1, 0.05]
    assert attended(times, weights) == ((0.3, 0.4, 0.25), (0.7, 0.8, 0.3))
    assert attended(times[:1], [1.0]) == ((0.0, 0.1, 1.0),)


def speech(seconds=2.0, pitch=120.0, seed=0):
    """Buzzing syllables with pauses between them, of one period."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * pitch * k * time + k * seed) / k for k in range(1, 12))
    syllables = (np.sin(2 * np.pi * 3 * time + seed) > -0.3).astype(float)
    wave = buzz * syllables
    return (0.05 * wave / np.sqrt(np.mean(wave**2))).astype(np.float32)


def noise(samples, seed=0):
    return coloured_noise(samples, "white", np.random.default_rng(seed))


GOOD = {
    "clean": speech(),
    "high voice": speech(pitch=240.0),
    "0 dB of noise": mix(speech(), noise(2 * RATE), 0.0),
    "quiet": speech() * np.float32(0.2),
}
BAD = {
    "silence": noise(2 * RATE) * np.float32(1e-3),
    "clipping": np.clip(speech() * 60, -1, 1),
    "low SNR": mix(speech(), noise(2 * RATE), -15.0),
    "babble": sum(speech(pitch=90.0 + 23.7 * k, seed=k) for k in range(7)) / 3,
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_transcribed_passes_the_guard(name):
    assert Guard().flags(measure(GOOD[name].astype(np.float32), RATE)) == []


@pytest.mark.parametrize("name", BAD)
def test_garbage_is_told_by_its_kind(name):
    assert name in Guard().flags(measure(BAD[name].astype(np.float32), RATE))


def test_any_audio_can_be_measured():
    for samples in (np.zeros(1), np.zeros(RATE), np.ones(300), noise(5)):
        assert all(np.isfinite(value) for value in measure(samples.astype(np.float32), RATE).as_dict().values())
