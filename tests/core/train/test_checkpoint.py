import warnings

import pytest
import torch

from stentor.errors import StentorError
from stentor.train import checkpoint


def write(folder, step, value=1.0):
    def weights(path):
        path.write_bytes(b"weights of %d" % step)

    index = {"step": step, "next": {"epoch": 0, "position": step}, "elapsed": 1.0, "metrics": {}}
    return checkpoint.write(folder, index, {"tensor": torch.full((3,), value)}, weights)


def test_round_trip(tmp_path):
    write(tmp_path, 7, 2.5)
    found = checkpoint.newest(tmp_path)
    assert found.step == 7
    assert found.weights.read_bytes() == b"weights of 7"
    assert found.state()["tensor"].tolist() == [2.5, 2.5, 2.5]
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000007"]


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.STATE, checkpoint.INDEX])
@pytest.mark.parametrize("damage", ["missing", "truncated", "changed"])
def test_a_damaged_newest_falls_back_with_a_warning(tmp_path, name, damage):
    write(tmp_path, 1)
    file = write(tmp_path, 2).folder / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"\x00" + content[1:])
    with pytest.warns(UserWarning, match="step-00000002.*Falling back"):
        assert checkpoint.newest(tmp_path).step == 1


def test_nothing_sound_left(tmp_path):
    (write(tmp_path, 1).folder / checkpoint.WEIGHTS).unlink()
    with warnings.catch_warnings(), pytest.raises(StentorError, match=r"no sound checkpoint.*\n.*step-00000001"):
        warnings.simplefilter("ignore")
        checkpoint.newest(tmp_path)


def test_keeps_the_newest_and_the_best(tmp_path):
    for step in range(1, 6):
        write(tmp_path, step)
    best = tmp_path / "step-00000002"
    checkpoint.prune(tmp_path, 2, besides=best)
    assert [path.name[-1] for path in checkpoint.steps(tmp_path)] == ["2", "4", "5"]
    checkpoint.prune(tmp_path, 0)
    assert [path.name[-1] for path in checkpoint.steps(tmp_path)] == ["5"], "one always stays"


def test_half_written_ones_are_not_seen_and_swept(tmp_path):
    write(tmp_path, 1)
    (tmp_path / "step-00000002.part").mkdir()
    assert checkpoint.newest(tmp_path).step == 1
    checkpoint.sweep(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


def test_full_disk_leaves_the_old_one(tmp_path, monkeypatch):
    write(tmp_path, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(StentorError, match="No space left"):
        write(tmp_path, 2)
    assert checkpoint.newest(tmp_path).step == 1


def test_a_pickle_in_the_state_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    index = {"step": 1, "next": {}, "elapsed": 0.0, "metrics": {}}
    checkpoint.write(tmp_path, index, {"x": Evil()}, lambda path: path.write_bytes(b""))
    with pytest.raises(StentorError, match=r"state\.pt.*more than tensors"):
        checkpoint.newest(tmp_path).state()


@pytest.mark.parametrize("content", [b"", b"no pickle", b"PK\x03\x04 no archive"])
def test_a_state_that_is_none_is_told(tmp_path, content):
    found = write(tmp_path, 1)
    (found.folder / checkpoint.STATE).write_bytes(content)
    with pytest.raises(StentorError, match=r"state\.pt"):
        found.state()
