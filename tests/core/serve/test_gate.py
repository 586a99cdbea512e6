"""The shell of the server over a real socket: limits, errors, identity, shutdown."""

import socket
import threading
import time

import pytest
from kettle import Kettle, ask

from stentor.errors import StentorError
from stentor.serve.server import running
from stentor.serve.settings import ServeSettings


def settings(**changes):
    return ServeSettings(port=0, **changes)


@pytest.fixture
def kettle():
    return Kettle()


def test_it_answers_and_says_who_it_is(kettle):
    with running({"kettle": kettle}, settings()) as address:
        assert ask(address, "/v1/boil", b"12345")[::2] == (200, {"size": 5})
        status, headers, health = ask(address, "/health", method="GET")
        assert (
            status == 200 and health["status"] == "ok" and health["queue"] == 64 and "kettle" in health["capabilities"]
        )
        assert [one["id"] for one in ask(address, "/v1/models", method="GET")[2]["data"]] == ["kettle"]
        assert ask(address, "/v1/models/kettle", method="GET")[2]["object"] == "model"
        assert headers["x-request-id"].startswith("req-")
        assert ask(address, "/v1/boil", headers={"X-Request-Id": "mine-7"})[1]["x-request-id"] == "mine-7"
        assert ask(address, "/v1/boil", headers={"X-Request-Id": "a b\tc"})[1]["x-request-id"].startswith("req-")
    assert kettle.closed == 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/boyl", 404, "not_found"),
        ("GET", "/v1/boil", 405, "method_not_allowed"),
        ("GET", "/v1/models/other", 404, "model_not_found"),
    ],
)
def test_what_is_not_there_is_told_in_the_shape_that_clients_know(kettle, method, path, status, code):
    with running({"kettle": kettle}, settings()) as address:
        got, headers, content = ask(address, path, method=method)
    assert got == status and content["error"]["code"] == code
    assert set(content["error"]) == {"message", "type", "param", "code"}
    assert content["error"]["type"] == "invalid_request_error"
    assert content["request_id"] == headers["x-request-id"]


def test_a_failure_is_answered_without_its_secrets_and_survived(kettle, caplog):
    with running({"kettle": kettle}, settings()) as address:
        status, _, content = ask(address, "/v1/spill")
        assert status == 500 and content["error"]["type"] == "server_error"
        assert "secret" not in str(content) and content["request_id"] in content["error"]["message"]
        status, _, content = ask(address, "/v1/spill", b"teapot")
        assert status == 400 and content["error"]["message"] == "it is a teapot."
        assert ask(address, "/v1/boil")[0] == 200


def test_a_request_is_one_line_of_the_log(kettle, caplog):
    with caplog.at_level("INFO", "stentor.serve"), running({"kettle": kettle}, settings()) as address:
        assert ask(address, "/v1/x%0AGET%20/v1/y", method="GET")[0] == 404
    (line,) = [record.getMessage() for record in caplog.records]
    assert "GET /v1/x%0AGET%20/v1/y 404" in line and "\n" not in line


def test_the_key(kettle):
    with running({"kettle": kettle}, settings(key="sesame")) as address:
        for headers in ({}, {"Authorization": "Bearer open"}, {"Authorization": "sesame"}):
            status, answered, content = ask(address, "/v1/boil", headers=headers)
            assert (status, content["error"]["type"]) == (401, "authentication_error")
            assert answered["www-authenticate"] == "Bearer"
        assert ask(address, "/v1/boil", headers={"Authorization": "Bearer sesame"})[0] == 200
        assert ask(address, "/v1/models", method="GET")[0] == 401
        assert ask(address, "/health", method="GET")[0] == 200


def test_a_large_upload_is_refused_declared_or_not(kettle):
    with running({"kettle": kettle}, settings(max_upload_mb=0.5)) as address:
        assert ask(address, "/v1/boil", bytes(2**19))[0] == 200
        status, _, content = ask(address, "/v1/boil", bytes(2**19 + 1))
        assert (status, content["error"]["code"]) == (413, "file_too_large")
        chunks = (bytes(2**16) for _ in range(20))
        status, _, content = ask(address, "/v1/boil", chunks)
        assert (status, content["error"]["code"]) == (413, "file_too_large")
        assert "0.5 MiB" in content["error"]["message"]


def test_the_rate(kettle):
    with running({"kettle": kettle}, settings(rate=2)) as address:
        answers = [ask(address, "/v1/boil") for _ in range(3)]
        assert [status for status, _, _ in answers] == [200, 200, 429]
        assert answers[2][2]["error"]["type"] == "rate_limit_error"
        assert 1 <= int(answers[2][1]["retry-after"]) <= 30
        assert ask(address, "/health", method="GET")[0] == 200


def test_a_full_queue_sends_away_and_takes_in_again(kettle):
    kettle.ready.clear()
    with running({"kettle": kettle}, settings(queue=1)) as address:
        found = []
        waiting = threading.Thread(target=lambda: found.append(ask(address, "/v1/boil", b"1")))
        waiting.start()
        assert kettle.entered.wait(10)
        status, headers, content = ask(address, "/v1/boil")
        assert (status, content["error"]["code"], headers["retry-after"]) == (503, "queue_full", "1")
        assert ask(address, "/health", method="GET")[2]["in_work"] == 1
        kettle.ready.set()
        waiting.join()
        assert found[0][0] == 200
        assert ask(address, "/v1/boil")[0] == 200


def test_a_client_that_falls_silent_does_not_hold_its_place(kettle):
    with running({"kettle": kettle}, settings(queue=1, idle_seconds=0.5)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as line:
            line.sendall(b"POST /v1/boil HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            assert line.recv(4096).startswith(b"HTTP/1.1 408")
        assert ask(address, "/v1/boil")[0] == 200


def test_a_client_that_leaves_in_the_middle_frees_its_place(kettle):
    with running({"kettle": kettle}, settings(queue=1)) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as line:
            line.sendall(b"POST /v1/boil HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        until = time.monotonic() + 20
        while ask(address, "/v1/boil")[0] != 200:
            assert time.monotonic() < until, "the place stayed taken"


def test_stopping_waits_for_what_is_in_work(kettle):
    kettle.ready.clear()
    found, stopped = [], threading.Event()

    def served():
        with running({"kettle": kettle}, settings()) as address:
            threading.Thread(target=lambda: found.append(ask(address, "/v1/boil", b"123"))).start()
            assert kettle.entered.wait(10)
        stopped.set()

    serving = threading.Thread(target=served)
    serving.start()
    assert kettle.entered.wait(10)
    assert not stopped.wait(0.3) and not found
    kettle.ready.set()
    serving.join(20)
    assert stopped.is_set() and found[0][::2] == (200, {"size": 3}) and kettle.closed == 1


def test_stopping_does_not_wait_for_ever(kettle, caplog):
    kettle.ready.clear()
    found = []

    def asked(address):
        found.append(ask(address, "/v1/boil", b"123"))
        kettle.ready.set()

    with running({"kettle": kettle}, settings(grace_seconds=1)) as address:
        asking = threading.Thread(target=asked, args=(address,))
        asking.start()
        assert kettle.entered.wait(10)
    asking.join(20)
    status, headers, content = found[0]
    assert (status, content["error"]["code"], headers["retry-after"]) == (503, "stopping", "1")
    assert "Traceback" not in caplog.text and kettle.closed == 1


def test_what_cannot_be_served_is_told(kettle):
    with (
        pytest.raises(StentorError, match="two capabilities mount '/v1/boil'"),
        running({"a": kettle, "b": kettle}, settings()),
    ):
        pass  # pragma: no cover
    with running({"kettle": kettle}, settings()) as address:
        port = int(address.rpartition(":")[2])
        with (
            pytest.raises(StentorError, match=f"cannot listen on 127.0.0.1 port {port}") as caught,
            running({"kettle": kettle}, ServeSettings(port=port)),
        ):
            pass  # pragma: no cover
        assert caught.value.path == "--port"
    with pytest.raises(StentorError) as caught:
        ServeSettings(port=70000, queue=0, max_seconds=0).check()
    assert {problem.path for problem in caught.value.problems} == {"--port", "--queue", "--max-seconds"}
    with pytest.raises(StentorError, match="finite") as caught:
        ServeSettings(max_seconds=float("inf"), rate=float("nan")).check()
    assert {problem.path for problem in caught.value.problems} == {"--max-seconds", "--rate"}
