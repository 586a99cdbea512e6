"""What the name of a device means, with and without GPUs."""

import pytest
import torch

from stentor.errors import StentorError
from stentor.model.device import choose_device


@pytest.fixture
def gpus(monkeypatch):
    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def test_auto_is_a_gpu_where_there_is_one(gpus):
    for count, kind in ((0, "cpu"), (2, "cuda")):
        gpus(count)
        assert choose_device("auto").type == kind
        assert choose_device("cpu").type == "cpu"


def test_gpus_are_counted(gpus):
    gpus(2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(StentorError, match="sees 2 GPUs"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["", "foo", "gpu", "cpu:1", "cuda:x", "cuda:-1", "cuda:²", "mps"])
def test_what_is_no_device_is_told(gpus, name):
    gpus(2)
    with pytest.raises(StentorError, match="there is no device"):
        choose_device(name)
