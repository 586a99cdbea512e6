"""A process that works for this one: calls and answers through a pipe, and an end to it when it takes too long."""

from __future__ import annotations

import pickle
import signal
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import torch

from stentor.errors import StentorError

_FOR_THE_RUN = (signal.SIGINT, signal.SIGTERM)
"""What a whole group of processes is sent to stop is for the one that learns, which saves and then ends its workers."""


class WorkerDied(Exception):
    """A worker ended without an answer."""


class Process:
    """An object that lives in another process.

    It is spawned, not forked: engines hold threads and locks that do not survive a fork. What is sent is copied.

    Args:
        make: importable; gives the object.
        arguments: of `make`.
        threads: torch's, there; 0: as many as it takes.
        name: for messages and process lists.
    """

    def __init__(self, make: Callable[..., Any], *arguments: Any, threads: int, name: str) -> None:
        context = get_context("spawn")
        self.name = name
        self._pipe, theirs = context.Pipe()
        self._child = context.Process(target=_serve, args=(theirs, threads), name=name, daemon=True)
        with _undisturbed():
            self._child.start()
        theirs.close()
        self._end = weakref.finalize(self, _ended, self._child, self._pipe)
        self._asked = 0
        self.begin(make, *arguments)

    def begin(self, method: str | Callable[..., Any], *arguments: Any, **options: Any) -> None:
        """Ask for a method of the object; `finish` gives the answers in the order of the questions.

        Raises:
            WorkerDied: when it is no more.
        """
        try:
            self._pipe.send_bytes(pickle.dumps((method, arguments, options)))
        except OSError as cause:
            raise self._died() from cause
        self._asked += 1

    def finish(self, timeout: float | None = None) -> Any:
        """The answer to the last question; those to earlier ones are passed over, unless they are errors.

        Args:
            timeout: seconds to wait; None: as long as it takes. A worker that is late is of no more use: `close` it.

        Raises:
            TimeoutError: when it takes longer.
            WorkerDied: when it ends meanwhile.
            BaseException: what the method raised.
        """
        value = None
        while self._asked:
            try:
                if not self._pipe.poll(timeout):
                    raise TimeoutError
                fine, value = pickle.loads(self._pipe.recv_bytes())
            except (EOFError, ConnectionError) as cause:
                raise self._died() from cause
            self._asked -= 1
            if not fine:
                raise value
        return value

    def call(self, method: str, *arguments: Any) -> Any:
        """Ask and wait."""
        self.begin(method, *arguments)
        return self.finish()

    def close(self) -> None:
        """End it, whatever it is at."""
        self._end()

    @property
    def alive(self) -> bool:
        return self._end.alive and self._child.is_alive()

    def _died(self) -> WorkerDied:
        self._child.join(1)
        code = self._child.exitcode
        self.close()
        return WorkerDied(f"process '{self.name}' ended from outside (exit code {code}), perhaps for want of memory")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A process that is started in this block is not reached by the signals that are for the run."""
    resource_tracker.ensure_running()  # else the first start of all starts it, and unblocks these signals
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FOR_THE_RUN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def on(device: str, place: str) -> torch.device:
    """A device of this machine, for the object of a worker.

    Raises:
        StentorError: when the machine does not have it.
    """
    found = torch.device(device)
    if found.type == "cuda" and torch.cuda.device_count() <= (found.index or 0):  # counting claims no memory there
        told = f"this machine has no such device; it has {torch.cuda.device_count()} of CUDA."
        raise StentorError(told, path=place, value=device)
    return found


def _ended(child: Any, pipe: Connection) -> None:
    pipe.close()
    child.kill()
    child.join()


def _serve(pipe: Connection, threads: int) -> None:
    """Answer until the other end is gone."""
    for number in _FOR_THE_RUN:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _FOR_THE_RUN)
    if threads:
        torch.set_num_threads(threads)
    served: Any = None
    while True:
        try:
            method, arguments, options = pickle.loads(pipe.recv_bytes())
            found = (method if callable(method) else getattr(served, method))(*arguments, **options)
            if callable(method):
                served, found = found, None
            answer = pickle.dumps((True, found))
        except EOFError:
            return
        except BaseException as error:
            answer = _failure(error)
        try:
            pipe.send_bytes(answer)
        except OSError:
            return


def _failure(error: BaseException) -> bytes:
    """An error as an answer; as a `StentorError` of the same words where it cannot be sent itself."""
    try:
        told = pickle.dumps((False, error))
        pickle.loads(told)
        return told
    except Exception:  # an error may hold anything
        return pickle.dumps((False, StentorError(f"{type(error).__name__}: {error}")))
