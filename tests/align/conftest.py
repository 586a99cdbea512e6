"""What several tests of alignment begin with."""

import pytest
import tiny
import torch


@pytest.fixture(scope="module")
def one_thread():
    """So that sums have one order: results are compared bit by bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """The run of a small policy, to be tuned."""
    return tiny.kept(tmp_path_factory.mktemp("parent") / "run")
