"""The dual codec: what its codes keep, what they depend on, and that nothing is in memory before it is needed."""

import pytest
import tiny_states
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_states import SECTION, buzz, sounds

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.sequence.codes import Grouped, ranges_of
from stentor.testing import CodecContract
from stentor.testing.signals import voiced
from stentor.train import assembly, parts
from stentor_tts.tokenizer.dual import DualCodec
from stentor_tts.tokenizer.features import ACOUSTICS, GROUP, Windows

SMALL = {"linguistic": 16, "semantic": 48, "encoder": SECTION}


@pytest.fixture(scope="module", autouse=True)
def registered():
    known = registry()
    saved = known.snapshot()
    known.add("encoder", "tiny-states", "tiny_states:TinyStates")
    yield
    known.restore(saved)


class TestWholeUtterances(CodecContract):
    name = "dual"
    config = SMALL


class TestWindows(CodecContract):
    name = "dual"
    config = SMALL | {"block": 0.24, "left": 0.24, "right": 0.12, "streams": "linguistic"}


class TestSemanticWithStates(CodecContract):
    name = "dual"
    config = SMALL | {"block": 0.36, "left": 0.0, "right": 0.0, "streams": "semantic", "states": 0.5,
                      "encoder": SECTION | {"rate": 50.0}}  # fmt: skip


def fitted(**changes):
    """A codec whose centroids come from sounds at many levels and pitches."""
    codec = DualCodec(**(SMALL | {"encoder": SECTION} | changes)).eval()
    torch.manual_seed(0)
    rows = [gain * buzz(pitch) for gain in (0.03, 0.1, 0.3, 1.0) for pitch in (90.0, 140.0, 220.0)]
    features = torch.cat([block for row in [*rows, torch.zeros(9600)] for block in codec.features().row(row)])
    for book, frames in codec.frames(features):
        book.begin(frames)
    return codec


@torch.no_grad()
def encode(codec, row):
    return codec.encode(row[None], torch.tensor([len(row)]))[0]


def test_spec_of_the_paper():
    spec = DualCodec.spec()
    assert [(book.name, book.size, round(book.rate, 1)) for book in spec.codebooks] == [
        ("linguistic", 1024, 16.7),
        ("semantic", 1024, 25.0),
    ]
    assert (spec.pattern, spec.group_samples, round(spec.rate, 2)) == ((2, 3), 1920, 41.67)
    assert "41.67 codes/s" in str(spec)


@pytest.mark.parametrize(("streams", "pattern"), [("both", (2, 3)), ("linguistic", (2,)), ("semantic", (3,))])
def test_streams_can_be_used_alone(streams, pattern):
    codec = fitted(streams=streams)
    assert codec.declared == DualCodec.spec(streams=streams, linguistic=16, semantic=48)
    assert codec.declared.pattern == pattern
    ids = Grouped(ranges_of(codec.declared, 10), pattern).pack(encode(codec, sounds()[0]))
    assert len(ids) == len(sounds()[0]) // GROUP * sum(pattern)


def test_a_stream_gives_the_same_codes_alone():
    both = fitted()
    for place, name in enumerate(("linguistic", "semantic")):
        alone = fitted(streams=name)
        alone.load_state_dict({key: value for key, value in both.state_dict().items() if key in alone.state_dict()})
        assert torch.equal(encode(alone, sounds()[0])[0], encode(both, sounds()[0])[place])


def test_only_encoding_builds_the_encoder(monkeypatch):
    built = []
    make = assembly.build
    monkeypatch.setattr(assembly, "build", lambda *args, **named: built.append(args[0]) or make(*args, **named))
    codec = DualCodec(**SMALL)
    codec.spec(**SMALL)
    codec.books["semantic"].features(torch.tensor([1, 2]))
    assert not built
    assert not [name for name in codec.state_dict() if "project" in name]
    before = torch.get_rng_state()
    encode(codec, sounds()[0])
    encode(codec, sounds()[1])
    assert built == ["encoder"]
    assert torch.equal(torch.get_rng_state(), before)
    assert not [name for name in codec.state_dict() if "project" in name]


def test_the_semantic_stream_needs_no_encoder(monkeypatch):
    monkeypatch.setattr(assembly, "build", lambda *args, **named: pytest.fail("an encoder was built"))
    codec = DualCodec(streams="semantic", semantic=8, encoder={"name": "nobody-has-this"})
    assert len(encode(codec, sounds()[0])[0]) == len(sounds()[0]) // GROUP * 3


def test_level_is_kept():
    """Ten decibels more are ten decibels more in what the codes stand for."""
    codec = fitted()
    loud, soft = buzz(140.0), 10**-0.5 * buzz(140.0)
    told = [codec.books["semantic"].features(encode(codec, row)[1])[:, 0] for row in (loud, soft)]
    assert float((told[0] - told[1]).detach().median()) == pytest.approx(10, abs=1.5)


def test_pitch_is_kept():
    codec = fitted()
    for pitch in (90.0, 140.0, 220.0):
        told = codec.books["semantic"].features(encode(codec, buzz(pitch))[1]).detach()
        sounding = told[told[:, 1] > 0.5]
        assert len(sounding) >= 12
        assert float(160 * sounding[:, 2].median().exp()) == pytest.approx(pitch, rel=0.1)


def test_silence_is_one_code():
    for book in encode(fitted(), torch.zeros(16000)):
        assert len(set(book.tolist())) == 1


def test_a_window_as_long_as_the_utterance_is_the_whole():
    row = sounds()[0]
    whole, windowed = fitted(), fitted(block=6.0)
    windowed.load_state_dict(whole.state_dict())
    for left, right in zip(encode(whole, row), encode(windowed, row), strict=True):
        assert torch.equal(left, right)


def test_codes_depend_on_nothing_beyond_their_window():
    codec = fitted(block=0.24, left=0.12, right=0.12)
    row = voiced(8 * GROUP, 16000)
    other = row.clone()
    other[5 * GROUP :] = 0.5 * torch.rand(3 * GROUP)
    other[:GROUP] = 0
    for left, right, per in zip(encode(codec, row), encode(codec, other), (2, 3), strict=True):
        assert torch.equal(left[2 * per : 4 * per], right[2 * per : 4 * per])
        assert not torch.equal(left[4 * per : 6 * per], right[4 * per : 6 * per])


@given(st.integers(0, 5), st.integers(0, 3), st.integers(0, 3), st.lists(st.integers(0, 9000), max_size=6))
def test_every_group_is_encoded_once_in_the_same_window(block, left, right, arrivals):
    """However the samples arrive; of whole utterances only at their end."""
    windows, total = Windows(block, left, right), sum(arrivals)
    due = list(windows.ready(0, total, last=True))
    given, done, there = [], 0, 0
    for index, samples in enumerate(arrivals):
        there += samples
        given += windows.ready(done, there, last=index == len(arrivals) - 1)
        done = given[-1][1] if given else 0
    assert given == due
    assert [group for first, end, *_ in due for group in range(first, end)] == list(range(total // GROUP))
    assert all(start <= first * GROUP and end * GROUP <= stop <= total for first, end, start, stop in due)


def run_of(codec, monkeypatch, **changes):
    """A further codec that reads the tensors of `codec` as those of a run."""
    monkeypatch.setattr(parts, "tensors_of", lambda run, role: (dict(codec.state_dict()), {"name": run}))
    return DualCodec(**(SMALL | {"run": "runs/tokenizer"} | changes))


def test_a_run_gives_its_codes(monkeypatch):
    codec = fitted()
    other = run_of(codec, monkeypatch)
    assert other.load_pretrained() == {"name": "runs/tokenizer"}
    assert all(map(torch.equal, encode(other, sounds()[0]), encode(codec, sounds()[0])))


def test_a_run_of_other_sizes_is_told(monkeypatch):
    with pytest.raises(StentorError, match=r"'books.semantic.weight' is \(9, 83\) here and \(48, 83\) in the run"):
        run_of(fitted(), monkeypatch, semantic=9).load_pretrained()


def test_codes_of_another_encoder_are_refused(monkeypatch):
    section = SECTION | {"pretrained": 1}
    codec = fitted(encoder=section)
    other = run_of(codec, monkeypatch, encoder=SECTION | {"pretrained": 2})
    other.load_pretrained()
    with pytest.raises(StentorError, match=r"weights \(seed 2\) are not those that the run 'runs/tokenizer'"):
        encode(other, sounds()[0])
    same = run_of(codec, monkeypatch, encoder=section)
    same.load_pretrained()
    encode(same, sounds()[0])


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"block": 0.1}, "codec.block: it must be a multiple of 0.12 s, not 0.1"),
        ({"right": -0.12}, "codec.right"),
        ({"semantic": 1}, "codec.semantic: it must be at least 2"),
        ({"encoder": {"name": "tiny"}}, "tiny-states"),
    ],
)
def test_wrong_settings_are_told(wrong, words):
    with pytest.raises(StentorError, match=words.replace(".", r"\.")):
        DualCodec(**(SMALL | wrong))


def test_an_encoder_of_another_rate_is_refused():
    with pytest.raises(StentorError, match=r"gives 40 frames per second at 16000 Hz.* multiple of 16.7 are needed"):
        encode(DualCodec(**(SMALL | {"encoder": SECTION | {"rate": 40.0}})), sounds()[0])


def test_widths_of_features():
    codec = fitted()
    features, groups = codec.features()(torch.stack([sounds()[0]]), torch.tensor([len(sounds()[0])]))
    assert features.shape == (1, 10, 2 * (1 + tiny_states.TinyStates.dim) + 3 * (1 + ACOUSTICS))
    assert groups.tolist() == [10]
