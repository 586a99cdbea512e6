"""Pieces of work in processes and on a cluster: every one once, jobs read as they are needed, deaths told."""

import itertools
import os
import pickle
import sys
from types import ModuleType

import pytest

from stentor import parallel
from stentor.errors import StentorError


def halve(number):
    if number == 13:
        os._exit(1)
    return number / 2


def test_one_process_works_in_this_one_and_reads_no_job_ahead():
    jobs = itertools.count()
    found = list(itertools.islice(parallel.here(halve, jobs, 1), 3))
    assert found == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert next(jobs) == 3


def test_processes_do_every_job_once_of_a_stream_without_end():
    jobs = itertools.count(20)
    found = dict(itertools.islice(parallel.here(halve, jobs, 2), 12))
    assert all(result == job / 2 for job, result in found.items()) and len(found) == 12
    assert next(jobs) < 20 + 12 + 2 * 2 + 1


def test_a_process_that_dies_is_told():
    with pytest.raises(StentorError, match="a process was ended from outside"):
        list(parallel.here(halve, [13, 14], 2))


def test_ray_gets_every_job_once_and_no_more_than_it_can_work_on(monkeypatch):
    out = []

    class Remote:
        def __init__(self, function):
            self.function = function

        def remote(self, job):
            out.append(job)
            return pickle.dumps(job)

    fake = ModuleType("ray")
    fake.init = lambda address, ignore_reinit_error: None
    fake.remote = Remote
    fake.cluster_resources = lambda: {"CPU": 2.0}
    fake.wait = lambda waiting, num_returns: (waiting[-num_returns:], waiting[:-num_returns])
    fake.get = lambda reference: halve(pickle.loads(reference))
    monkeypatch.setitem(sys.modules, "ray", fake)
    stream = parallel.on_ray(halve, range(20, 40), "head:6379", distribution="stentor")
    first = next(stream)
    assert len(out) == 4
    assert dict([first, *stream]) == {number: number / 2 for number in range(20, 40)}


def test_no_cluster_is_told(monkeypatch):
    def init(address, **_):
        raise ConnectionError("nobody there")

    fake = ModuleType("ray")
    fake.init = init
    monkeypatch.setitem(sys.modules, "ray", fake)
    with pytest.raises(StentorError, match="no Ray cluster answers there: nobody there"):
        list(parallel.on_ray(halve, [1], "head:6379", distribution="stentor"))
