"""Judge ``openai``: a chat model behind an endpoint that speaks OpenAI's interface, whoever serves it."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
import urllib.error
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stentor.config import ranges
from stentor.errors import StentorError
from stentor_align.interfaces import Judge
from stentor_align.judges.budget import Budget
from stentor_align.judges.cache import AnswerCache
from stentor_align.judges.request import post

_AGAIN = (408, 409, 429, 500, 502, 503, 504, 529)
"""Statuses after which it is worth asking again."""


class OpenAIJudge(Judge):
    """Asks ``POST url/chat/completions``; every answer is kept on disk if a cache is named.

    Args:
        url: of the interface, up to its version.
        model: what the endpoint calls the model.
        key_variable: environment variable that holds the key; where it is unset none is sent.
        temperature: of the answers.
        most_tokens: of an answer.
        timeout: seconds that an answer may take, failed requests and the pauses between them included.
        retries: how often a failed request is sent again, as long as there is time.
        pause: seconds before the first of these; each further one waits twice as long, or as long as the endpoint asks.
        budget: requests that may be sent in all, repeated ones included; 0: any number. Then it answers nothing more.
            It is counted for each `url` and `model` in a file beside `cache` that has its name and ``.spent`` behind
            it, over all runs, processes and resumes that share the cache; delete that file to begin anew. Without a
            cache each process counts for itself and a resumed run begins anew, which a warning says.
        parallel: requests that are under way at a time.
        cache: SQLite file that keeps the answers; empty: none. An answer that it cannot take is given all the same.
    """

    models = ("url", "model")

    def __init__(
        self,
        *,
        url: str = "http://127.0.0.1:8000/v1",
        model: str = "default",
        key_variable: str = "OPENAI_API_KEY",
        temperature: float = 0.0,
        most_tokens: int = 256,
        timeout: float = 60.0,
        retries: int = 3,
        pause: float = 0.5,
        budget: int = 0,
        parallel: int = 4,
        cache: str = "",
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise StentorError("it must begin with http:// or https://.", path="judge.url", value=url)
        least = {"temperature": (temperature, 0), "most_tokens": (most_tokens, 1), "retries": (retries, 0),
                 "pause": (pause, 0), "budget": (budget, 0), "parallel": (parallel, 1)}  # fmt: skip
        wanted = {name: (value, ranges.least(value, bound)) for name, (value, bound) in least.items()}
        ranges.refuse(wanted | {"timeout": (timeout, ranges.above_zero(timeout))}, "judge.")
        self.url, self.model, self.key_variable = url.rstrip("/"), model, key_variable
        self.temperature, self.most_tokens = temperature, most_tokens
        self.timeout, self.retries, self.pause = timeout, retries, pause
        self.parallel = parallel
        self.cache = AnswerCache(cache)
        self.budget = Budget(budget, cache, f"{self.url} {model}")
        self._told: set[str] = set()
        self._telling = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_telling"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _telling=threading.Lock())

    def ask(self, questions: Sequence[str]) -> list[str | None]:
        different = list(dict.fromkeys(questions))
        if not different:
            return []
        with ThreadPoolExecutor(min(self.parallel, len(different))) as pool:
            answers = dict(zip(different, pool.map(self._answer, different), strict=True))
        return [answers[question] for question in questions]

    def _answer(self, question: str) -> str | None:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "temperature": self.temperature,
            "max_tokens": self.most_tokens,
        }
        known = self.cache.get(url=self.url, body=body)
        if known is not None:
            return known
        found = self._sent(body)
        if found is not None:
            self._keep(found, body)
        return found

    def _sent(self, body: dict[str, Any]) -> str | None:
        """What the endpoint answers, asked as often as it takes and the settings allow."""
        end = time.monotonic() + self.timeout
        for attempt in range(self.retries + 1):
            if not self._may_send():
                return None
            try:
                return self._send(body, end - time.monotonic())
            except _Failure as failure:
                wait = max(self.pause * 2**attempt, failure.wait)
                if failure.final or attempt == self.retries or time.monotonic() + wait >= end:
                    warnings.warn(f"the judge at {self.url} gives no answer: {failure}", stacklevel=2)
                    return None
                time.sleep(wait)
        return None

    def _may_send(self) -> bool:
        """Whether the budget allows one request more; counts it."""
        if self.budget.most and not self.budget.path:
            told = "it has a budget and no cache, so each process counts for itself and a resumed run begins anew"
            self._tell("lone", told)
        try:
            allowed = self.budget.take()
        except StentorError as error:  # what cannot be counted must not be spent
            self._tell("uncounted", f"it is asked nothing more: {error}")
            return False
        if not allowed:
            self._tell("spent", f"its budget of {self.budget.most} requests is spent, so it is asked nothing more")
        return allowed

    def _keep(self, answer: str, body: dict[str, Any]) -> None:
        try:
            self.cache.put(answer, url=self.url, body=body)
        except StentorError as error:
            self._tell("unkept", f"its answers are used and not kept: {error}")

    def _tell(self, what: str, told: str) -> None:
        """Warn of something that lasts, once."""
        with self._telling:
            if what in self._told:
                return
            self._told.add(what)
        warnings.warn(f"the judge at {self.url}: {told}", stacklevel=2)

    def _send(self, body: dict[str, Any], seconds: float) -> str:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_variable, "").strip():
            headers["Authorization"] = f"Bearer {key}"
        try:
            content = post(f"{self.url}/chat/completions", json.dumps(body).encode(), headers, max(seconds, 0.001))
        except urllib.error.HTTPError as error:
            with error:
                wait = error.headers.get("Retry-After", "")
            wanted = float(wait) if wait.isdecimal() else 0.0
            raise _Failure(f"status {error.code}", final=error.code not in _AGAIN, wait=wanted) from error
        except TimeoutError as error:
            raise _Failure("out of time") from error
        except OSError as error:
            raise _Failure(str(getattr(error, "reason", error)) or "no connection") from error
        except http.client.IncompleteRead as error:
            raise _Failure("its answer breaks off") from error
        except http.client.HTTPException as error:
            raise _Failure(f"what it sends is no HTTP ({type(error).__name__})") from error
        except (ValueError, OverflowError) as error:  # of a host, a port or a key, which its message may show
            raise _Failure("its address or key cannot be sent", final=True) from error
        return _message(content)


def _message(content: bytes) -> str:
    try:
        found = json.loads(content)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise _Failure("what it sends is no chat completion") from error
    if not isinstance(found, str):
        raise _Failure("its message has no text")
    return found


class _Failure(Exception):
    """One request that gave no answer; `final`: asking again would change nothing; `wait`: seconds until it might."""

    def __init__(self, told: str, *, final: bool = False, wait: float = 0.0) -> None:
        super().__init__(told)
        self.final, self.wait = final, wait
