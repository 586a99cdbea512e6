import warnings
from itertools import islice

import numpy as np
import pytest
import torch

from stentor.data import audio, manifest
from stentor.data.collate import collate, pad
from stentor.data.loader import Loader, Reader, select
from stentor.data.sampler import BucketingSampler
from stentor.data.settings import DataSettings
from stentor.data.streaming import StreamingSampler
from stentor.data.utterance import Utterance
from stentor.errors import StentorError


def utterances(count=12, text="word"):
    return [Utterance(f"u{n}", f"/x/{n}.wav", 1.0 + n / 10, 100, text=text) for n in range(count)]


def read(utterance):
    if utterance.id == "u3":
        raise StentorError("not audio")
    return torch.full((round(utterance.duration * 100),), float(utterance.id[1:]))


def jitter(wave, rate, random):
    return wave + torch.from_numpy(random.standard_normal(len(wave)).astype(np.float32))


def loader(workers=0, augment=jitter, rows=None, **options):
    rows = rows or utterances()
    sampler = BucketingSampler(np.array([row.duration for row in rows]), 5.0, seed=1, **options)
    return Loader(Reader(rows, read, augment=augment, seed=2), sampler, workers=workers)


def take(source, count):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(islice(source, count))


def same(one, other):
    return one["ids"] == other["ids"] and torch.equal(one["audio"], other["audio"]) and one["next"] == other["next"]


def test_a_batch():
    made = collate(utterances(2), [torch.ones(3), torch.ones(2)])
    assert made["ids"] == ["u0", "u1"] and made["texts"] == ["word", "word"] and made["speakers"] == ["", ""]
    assert made["audio"].tolist() == [[1, 1, 1], [1, 1, 0]] and made["audio_lengths"].tolist() == [3, 2]
    frames, lengths = pad([torch.ones(1, 4, dtype=torch.float16), torch.ones(3, 4)])
    assert frames.shape == (2, 3, 4) and frames.dtype == torch.float32 and lengths.tolist() == [1, 3]


def test_workers_do_not_change_a_bit():
    for one, other in zip(take(loader(), 12), take(loader(workers=2), 12), strict=True):
        assert same(one, other)


def test_it_goes_on_after_any_batch_whatever_was_read_ahead():
    whole = take(loader(), 14)
    for place in (0, 3, 9):
        for workers in (0, 2) if place == 3 else (0,):
            again = loader(workers=workers)
            again.load_state_dict(whole[place]["next"])
            for one, other in zip(whole[place + 1 :], take(again, 4), strict=False):
                assert same(one, other)


def test_augmentation_is_new_in_every_epoch():
    batches = [batch for batch in take(loader(), 20) if "u5" in batch["ids"]]
    noises = [batch["audio"][batch["ids"].index("u5"), :100] for batch in batches]
    assert len(noises) >= 2 and not torch.equal(noises[0], noises[1])


def test_what_cannot_be_read_is_left_out_and_told_once():
    source = loader()
    with pytest.warns(UserWarning, match="'u3' is left out: not audio") as caught:
        batches = list(islice(source, 20))
    assert len([warning for warning in caught if "u3" in str(warning.message)]) == 1
    assert source.failed == {"u3": "not audio"}
    assert "u3" not in {name for batch in batches for name in batch["ids"]}


def test_nothing_at_all_can_be_read():
    rows = [Utterance("u3", "/x", 1.0, 100, text="a")]
    with pytest.warns(UserWarning), pytest.raises(StentorError, match=r"could be read.*not audio"):
        next(iter(loader(rows=rows)))


def test_select():
    rows = [Utterance(name, "", seconds, 100, text="x") for name, seconds in (("a", 0.01), ("b", 5), ("c", 50))]
    rows.append(Utterance("d", "", 5, 100))
    kept, left_out = select(rows, DataSettings(batch_seconds=20))
    assert [row.id for row in kept] == ["b"]
    assert left_out == {"too short": 1, "longer than a batch": 1, "without a transcript": 1}
    assert [row.id for row in select(rows, DataSettings(batch_seconds=20, overlong="alone"))[0]] == ["b", "c"]
    assert [row.id for row in select(rows[3:], DataSettings())[0]] == ["d"], "a set without any text is kept"


def test_streaming_goes_on_after_any_batch(tmp_path):
    random = np.random.default_rng(0)
    rows = []
    for number in range(20):
        seconds = 0.5 + random.random()
        audio.write(tmp_path / f"{number}.wav", random.standard_normal(round(8000 * seconds)) * 0.1, 8000)
        length = round(8000 * seconds)
        rows.append(
            Utterance(f"{number}", str(tmp_path / f"{number}.wav"), length / 8000, 8000, text="a", frames=length)
        )
    manifest.save(tmp_path / "train.jsonl.gz", rows)
    settings = DataSettings(train=str(tmp_path / "train.jsonl.gz"), batch_seconds=4)

    def names(sampler, count):
        return [(draw.epoch, tuple(row.id for row in draw.utterances)) for draw in islice(sampler, count)]

    whole = names(StreamingSampler(settings, seed=1), 14)
    assert {name for epoch, batch in whole if epoch == 0 for name in batch} == {str(n) for n in range(20)}
    one = StreamingSampler(settings, seed=1)
    names(one, 3)
    again = StreamingSampler(settings, seed=1)
    again.load_state_dict(one.state_dict())
    assert names(again, 11) == whole[3:]
