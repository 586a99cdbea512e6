"""Judge ``openai``: a chat model behind an endpoint that speaks OpenAI's interface, whoever serves it."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stentor.config import ranges
from stentor.errors import StentorError
from stentor_align.interfaces import Judge
from stentor_align.judges.cache import AnswerCache

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
        timeout: seconds that an answer may take.
        retries: how often a failed request is sent again.
        pause: seconds before the first of these; each further one waits twice as long.
        budget: requests that may be sent in all, repeated ones included; 0: any number. Then it answers nothing more.
        parallel: requests that are under way at a time.
        cache: SQLite file that keeps the answers; empty: none.
    """

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
        self.budget, self.parallel = budget, parallel
        self.cache = AnswerCache(cache)
        self.sent = 0
        self._counting = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_counting"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _counting=threading.Lock())

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
        for attempt in range(self.retries + 1):
            if not self._may_send():
                return None
            try:
                found = self._send(body)
            except _Failure as failure:
                if failure.final or attempt == self.retries:
                    warnings.warn(f"the judge at {self.url} gives no answer: {failure}", stacklevel=2)
                    return None
                time.sleep(self.pause * 2**attempt)
            else:
                self.cache.put(found, url=self.url, body=body)
                return found
        return None

    def _may_send(self) -> bool:
        """Whether the budget allows one request more; counts it."""
        with self._counting:
            if self.budget and self.sent >= self.budget:
                return False
            self.sent += 1
            return True

    def _send(self, body: dict[str, Any]) -> str:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.key_variable):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url}/chat/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                found = json.load(response)["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            raise _Failure(f"status {error.code}", final=error.code not in _AGAIN) from error
        except OSError as error:  # no connection, out of time
            raise _Failure(str(getattr(error, "reason", error)) or "out of time") from error
        except (ValueError, LookupError, TypeError) as error:
            raise _Failure("what it sends is no chat completion") from error
        if not isinstance(found, str):
            raise _Failure("its message has no text")
        return found


class _Failure(Exception):
    """One request that gave no answer; `final`: asking again would change nothing."""

    def __init__(self, told: str, *, final: bool = False) -> None:
        super().__init__(told)
        self.final = final
