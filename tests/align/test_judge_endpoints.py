"""Endpoints that drip, break off, babble or are busy: no answer in time, nothing raised, nothing paid for twice."""

import json
import multiprocessing
import pickle
import sqlite3
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stentor_align.judges.cache import AnswerCache
from stentor_align.judges.openai import OpenAIJudge

FINE = json.dumps({"choices": [{"message": {"content": "A"}}]}).encode()
RAW = {
    "nonsense": b"hello there\r\n\r\n",
    "silence": b"",
    "odd-header": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n" + FINE,
    "short": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(FINE) + 9) + FINE,
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + FINE,
    "odd-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + FINE,
}
BODIES = {
    "prose": b"I would rather say A.",
    "deep": b"[" * 100_000,
    "latin": b'{"choices": "\xff"}',
    "null": b'{"choices": [{"message": {"content": null}}]}',
    "list": b"[]",
}
STATUSES = {"busy": 429, "broken": 500, "moved": 302, "patient": 503}


class Hostile(BaseHTTPRequestHandler):
    """Does what the last word of the question says; `asked` are the times of requests."""

    asked: list = []
    retry_after = "1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        word = body["messages"][0]["content"].split()[-1]
        self.asked.append(time.monotonic())
        self.close_connection = True
        if word in RAW:
            self.wfile.write(RAW[word])
        elif word in STATUSES:
            self.send_response(STATUSES[word])
            for name, value in {"patient": {"Retry-After": self.retry_after}, "moved": {"Location": "/"}}.get(
                word, {}
            ).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif word in ("drip", "drip-head"):
            self.drip(word)
        elif word == "half":
            time.sleep(0.35)
            self.wfile.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        else:
            content = BODIES.get(word, FINE)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content)

    def drip(self, word):
        start = b"HTTP/1.1 200 OK\r\n" + (b"" if word == "drip-head" else b"Content-Length: 999999\r\n\r\n")
        self.wfile.write(start)
        try:
            for _ in range(400):  # 20 s, a byte at a time
                self.wfile.write(b"X")
                time.sleep(0.05)
        except OSError:
            self.hung_up.set()

    def do_GET(self):
        self.asked.append(time.monotonic())
        self.send_response(200)
        self.send_header("Content-Length", str(len(FINE)))
        self.end_headers()
        self.wfile.write(FINE)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    handler = type("Fresh", (Hostile,), {"asked": [], "hung_up": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield handler
    server.shutdown()
    server.server_close()


def told(judge, question):
    """The answer, the warnings and the seconds that it took."""
    begun = time.monotonic()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        (answer,) = judge.ask([question])
    return answer, [str(one.message) for one in found], time.monotonic() - begun


@pytest.mark.parametrize("word", [*RAW, *BODIES, "broken", "busy"])
def test_what_is_no_answer_is_none_and_one_warning(endpoint, word):
    answer, said, _ = told(OpenAIJudge(url=endpoint.url, retries=1, pause=0.01), word)
    assert answer is None and len(said) == 1 and "gives no answer" in said[0] and "\n" not in said[0]
    assert len(endpoint.asked) == 2, "it might have been better the second time"


@pytest.mark.parametrize("word", ["drip", "drip-head"])
def test_a_server_that_drips_is_left_in_time(endpoint, word):
    answer, said, seconds = told(OpenAIJudge(url=endpoint.url, timeout=0.6, retries=5, pause=0.01), word)
    assert answer is None and "out of time" in said[0] and 0.6 <= seconds < 3
    assert endpoint.hung_up.wait(5), "its connection is shut, not forgotten"


def test_the_limit_holds_for_all_tries_and_pauses(endpoint):
    answer, said, seconds = told(OpenAIJudge(url=endpoint.url, timeout=1.0, retries=50, pause=0.1), "half")
    assert answer is None and "status 500" in said[0] and seconds < 1.5
    assert len(endpoint.asked) == 2, "0.35 s, a pause of 0.1 s, 0.35 s: another pause and try would be too long"


def test_pauses_grow_and_are_as_long_as_the_endpoint_asks(endpoint):
    told(OpenAIJudge(url=endpoint.url, retries=3, pause=0.1), "busy")
    first, second, third = (b - a for a, b in zip(endpoint.asked, endpoint.asked[1:], strict=False))
    assert 0.1 <= first < second < third and second >= 0.2 and third >= 0.4
    endpoint.asked.clear()
    told(OpenAIJudge(url=endpoint.url, retries=1, pause=0.01), "patient")
    assert endpoint.asked[1] - endpoint.asked[0] >= 1
    endpoint.retry_after = "3600"
    assert told(OpenAIJudge(url=endpoint.url, retries=1, pause=0.01), "patient")[2] < 1


def test_nobody_is_followed_elsewhere(endpoint):
    answer, said, _ = told(OpenAIJudge(url=endpoint.url, pause=0.01), "moved")
    assert answer is None and "status 302" in said[0] and len(endpoint.asked) == 1


@pytest.mark.parametrize("url", ["http://a b/v1", "http://[x/v1", "http://127.0.0.1:99999/v1", "http://" + "a" * 70])
def test_an_address_that_is_none_is_no_answer(url):
    assert told(OpenAIJudge(url=url, retries=0, timeout=5), "x")[0] is None


def test_a_key_that_cannot_be_sent_is_not_told(endpoint, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "hid\nden")
    answer, said, _ = told(OpenAIJudge(url=endpoint.url, key_variable="SOME_KEY"), "x")
    assert answer is None and "hid" not in said[0] and endpoint.asked == []
    monkeypatch.setenv("SOME_KEY", "fine\n")
    assert told(OpenAIJudge(url=endpoint.url, key_variable="SOME_KEY"), "x")[0] == "A"


def test_a_budget_lasts_over_resumes_and_is_shared(endpoint, tmp_path):
    options = {"url": endpoint.url, "budget": 3, "cache": str(tmp_path / "answers.sqlite"), "parallel": 1}
    assert OpenAIJudge(**options).ask(["1 x", "2 x"]) == ["A", "A"]
    again = pickle.loads(pickle.dumps(OpenAIJudge(**options)))
    answer, said, _ = told(again, "3 x")
    assert answer == "A" and not said
    answer, said, _ = told(again, "4 x")
    assert answer is None and len(said) == 1 and "budget of 3 requests is spent" in said[0]
    assert told(again, "5 x")[1] == [], "once"
    assert again.ask(["1 x"]) == ["A"], "what is known costs nothing"
    assert OpenAIJudge(**{**options, "model": "other"}).ask(["1 x"]) == ["A"], "another model has its own"
    assert len(endpoint.asked) == 4
    (tmp_path / "answers.sqlite.spent").unlink()
    assert OpenAIJudge(**options).ask(["4 x"]) == ["A"], "begun anew by hand"


def rank(url, cache, number, answers):
    judge = OpenAIJudge(url=url, budget=10, cache=cache)
    answers.put(len([one for one in judge.ask([f"{number} {n} x" for n in range(8)]) if one]))


def test_ranks_do_not_spend_more_than_the_budget_together(endpoint, tmp_path):
    fork = multiprocessing.get_context("fork")
    answers = fork.Queue()
    ranks = [fork.Process(target=rank, args=(endpoint.url, str(tmp_path / "c"), n, answers)) for n in range(3)]
    [one.start() for one in ranks]
    counts = [answers.get(timeout=60) for _ in ranks]
    [one.join() for one in ranks]
    assert sum(counts) == 10 == len(endpoint.asked)


def test_without_a_cache_a_budget_is_each_ones_own_and_says_so(endpoint):
    judge = OpenAIJudge(url=endpoint.url, budget=2)
    answer, said, _ = told(judge, "1 x")
    assert answer == "A" and len(said) == 1 and "resumed run begins anew" in said[0]
    assert told(judge, "2 x")[:2] == ("A", []) and told(judge, "3 x")[0] is None and len(endpoint.asked) == 2


def test_what_cannot_be_counted_is_not_spent(endpoint, tmp_path):
    (tmp_path / "c.spent").write_text("no database" * 100)
    answer, said, _ = told(OpenAIJudge(url=endpoint.url, budget=2, cache=str(tmp_path / "c")), "x")
    assert answer is None and "asked nothing more" in said[0] and endpoint.asked == []


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(endpoint, tmp_path, monkeypatch):
    judge = OpenAIJudge(url=endpoint.url, cache=str(tmp_path / "c"))
    assert judge.ask(["1 x"]) == ["A"]
    with sqlite3.connect(tmp_path / "c") as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON answers BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    answer, said, _ = told(judge, "2 x")
    assert answer == "A" and len(said) == 1 and "disk is full" in said[0]
    assert told(judge, "3 x")[:2] == ("A", []), "one warning"
    assert judge.ask(["1 x"]) == ["A"] and len(endpoint.asked) == 3


def test_an_answer_that_no_file_can_hold(tmp_path, endpoint, monkeypatch):
    monkeypatch.setitem(BODIES, "half-letter", b'{"choices": [{"message": {"content": "A\\ud83d"}}]}')
    answer, said, _ = told(OpenAIJudge(url=endpoint.url, cache=str(tmp_path / "c")), "half-letter")
    assert answer == "A\ud83d" and len(said) == 1
    assert AnswerCache(str(tmp_path / "c")).get(url="x") is None
