"""Refused requests: a status, a sentence, and the body that clients of OpenAI's interface understand."""

from __future__ import annotations

import math
from typing import Any

from stentor.errors import StentorError

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Refusal(StentorError):
    """A request that is not carried out.

    Args:
        message: one sentence: what is wrong and what would be right.
        status: of HTTP.
        code: a word for programs, e.g. ``file_too_large``.
        retry_after: when it is worth trying again (s).
        details: path, value and options as for `StentorError`; the path is the name of the form field.
    """

    def __init__(self, message: str, *, status: int = 400, code: str = "invalid_request",
                 retry_after: float | None = None, **details: Any) -> None:  # fmt: skip
        super().__init__(message, **details)
        self.status, self.code, self.retry_after = status, code, retry_after

    @classmethod
    def of(cls, error: StentorError, *, param: str = "", **details: Any) -> Refusal:
        """The refusal that tells the first problem of `error`, without its path: paths here are not the client's."""
        if isinstance(error, Refusal):
            return error
        first = error.problems[0]
        return cls(first.message, path=param, value=first.value, options=first.options, suggestion=first.suggestion,
                   **details)  # fmt: skip

    def body(self, identity: str) -> dict[str, Any]:
        """The answer's JSON; what of the client's own words cannot be encoded is escaped."""
        kind = _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        message, where = (
            text.encode(errors="backslashreplace").decode() for text in (str(self.problems[0]), self.path)
        )
        error = {"message": message, "type": kind, "param": where or None, "code": self.code}
        return {"error": error, "request_id": identity}

    def headers(self) -> dict[str, str]:
        """Retry-After, and the challenge that a missing key gets."""
        found = {"www-authenticate": "Bearer"} if self.status == 401 else {}
        if self.retry_after is not None:
            found["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        return found


def unknown_model(name: str, served: list[str]) -> Refusal:
    """The answer to a request for a model that is not here."""
    return Refusal(f"the model '{name}' is not served here.", status=404, code="model_not_found", path="model",
                   value=name, options=served)  # fmt: skip
