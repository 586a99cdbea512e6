"""Judges: what is read off their words, and endpoints that fail, delay, babble or cost."""

import json
import math
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_align.judges.openai import OpenAIJudge
from stentor_align.rewards.judge import JudgeReward, marks, verdict


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("A", 1),
        ("b", -1),
        (" tie.\n", 0),
        ("I think so.\n\nVerdict: [B]", -1),
        ("**A**", 1),
        ("(B)", -1),
        ("the first is warm, verdict: a", 1),
    ],
)
def test_verdicts(answer, found):
    assert verdict(answer) == found


@pytest.mark.parametrize("answer", [None, "", "A is better than B", "Both", "A or B", "A\nbecause it is better"])
def test_prose_is_no_verdict(answer):
    assert math.isnan(verdict(answer))


def test_marks():
    items = ["helpful", "clear voice"]
    assert marks("Helpful: 4\n- clear voice: 2.5", items, 1, 5) == [4, 2.5]
    for answer in (
        None,
        "it is helpful",
        "helpful: 4",
        "helpful: 4\nclear voice: 9",
        "helpful: 4\nhelpful: 3\nclear voice: 1",
    ):
        assert all(map(math.isnan, marks(answer, items, 1, 5)))


def reward(rules, otherwise="", **options):
    return JudgeReward(judge={"name": "scripted", "rules": rules, "otherwise": otherwise}, **options)


PROMPTS = [{"instruction": "say", "given": "yes", "reference": "yes"}] * 3
RESPONSES = [{"text": "yes, gladly"}, {"text": "no"}, {"text": "yes"}]
GLAD = {r"A: [^\n]*gladly": "A", r"B: [^\n]*gladly": "B", r"A: no": "B", r"B: no": "A"}


def test_the_response_is_shown_in_either_place_and_its_liking_cancels_out():
    found = reward(GLAD, "A").score(PROMPTS, RESPONSES)
    assert found.total.tolist() == [1, -1, 0]
    assert found.parts["first"].tolist() == [1, -1, 1] and found.parts["second"].tolist() == [1, -1, -1]


def test_swapping_response_and_reference_flips_the_sign():
    forward = reward(GLAD, "tie").score(PROMPTS, RESPONSES).total
    prompts = [{**prompt, "reference": response["text"]} for prompt, response in zip(PROMPTS, RESPONSES, strict=True)]
    backward = reward(GLAD, "tie").score(prompts, [{"text": "yes"}] * 3).total
    assert backward.tolist() == (-forward).tolist() == [-1, 1, 0]


def test_what_a_judge_cannot_say_and_cannot_be_asked_is_left_out():
    found = reward({"gladly": "Well, both are fine in their way."}, "A").score(
        [*PROMPTS, {"instruction": "say"}], [*RESPONSES, {"text": "yes"}]
    )
    assert found.total.isnan().tolist() == [True, False, False, True]
    assert found.parts["readable"].tolist() == [0, 1, 1, 0]


def test_a_rubric_gives_every_item():
    rules = {
        r"Response: yes, gladly.*": "helpful: 5\nshort: 2",
        "Response: no": "helpful: 1",
        "Reference: yes": "helpful: 3\nshort: 5",
    }
    judged = reward(rules, mode="rubric", rubric={"helpful": "does it", "short": "says little"})
    found = judged.score(PROMPTS, RESPONSES)
    assert found.total.tolist()[::2] == [0.625, 0.75] and found.total[1].isnan()
    assert found.parts["helpful"].tolist()[0] == 1 and found.parts["short"].tolist()[2] == 1
    with pytest.raises(StentorError, match="rubric"):
        reward({}, mode="rubric", rubric={})


class Endpoint(BaseHTTPRequestHandler):
    """Answers with what the last word of a question says: ``status-429``, ``prose``, or the word."""

    asked: list = []
    refusals = 0

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        word = body["messages"][0]["content"].split()[-1]
        self.asked.append((word, self.headers.get("Authorization"), self.path))
        if word == "busy" and len([one for one in self.asked if one[0] == "busy"]) <= self.refusals:
            return self.send_error(429)
        if word == "wrong":
            return self.send_error(400)
        told = {"choices": [{"message": {"content": word}}]} if word != "broken" else {"no": "choices"}
        payload = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_):
        pass


@pytest.fixture
def endpoint():
    handler = type("Fresh", (Endpoint,), {"asked": [], "refusals": 2})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.url = f"http://127.0.0.1:{server.server_port}/v1"
    yield handler
    server.shutdown()
    server.server_close()


def test_an_endpoint_answers_and_is_asked_once_for_each_question(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    options = {"url": endpoint.url, "key_variable": "SOME_KEY", "cache": str(tmp_path / "sub" / "answers.sqlite")}
    judge = OpenAIJudge(**options)
    assert judge.ask(["say A", "say B", "say A"]) == ["A", "B", "A"]
    assert sorted(endpoint.asked) == [(w, "Bearer secret", "/v1/chat/completions") for w in ("A", "B")]
    assert OpenAIJudge(**options).ask(["say B"]) == ["B"] and len(endpoint.asked) == 2
    assert OpenAIJudge(**options, temperature=0.5).ask(["say B"]) == ["B"] and len(endpoint.asked) == 3


def test_a_busy_endpoint_is_asked_again_and_a_refusal_is_final(endpoint):
    judge = OpenAIJudge(url=endpoint.url, pause=0.01)
    assert judge.ask(["busy"]) == ["busy"] and len(endpoint.asked) == 3
    with pytest.warns(UserWarning, match="status 400"):
        assert judge.ask(["wrong"]) == [None]
    assert len(endpoint.asked) == 4
    endpoint.refusals = 99
    with pytest.warns(UserWarning, match="status 429"):
        assert OpenAIJudge(url=endpoint.url, pause=0.01, retries=1).ask(["busy"]) == [None]
    with pytest.warns(UserWarning, match="no chat completion"):
        assert OpenAIJudge(url=endpoint.url, pause=0, retries=0).ask(["broken"]) == [None]


def test_a_budget_is_kept_to_the_request(endpoint):
    judge = OpenAIJudge(url=endpoint.url, budget=2, parallel=4)
    answers = judge.ask([f"say {n}" for n in range(6)])
    assert len([one for one in answers if one]) == 2 == len(endpoint.asked)
    assert judge.ask(["say more"]) == [None]


def test_nobody_there():
    with pytest.warns(UserWarning, match="gives no answer"):
        assert OpenAIJudge(url="http://127.0.0.1:9", retries=1, pause=0.01, timeout=1).ask(["x"]) == [None]
    for wrong in ({"url": "ftp://x"}, {"timeout": 0}, {"retries": -1}):
        with pytest.raises(StentorError):
            OpenAIJudge(**wrong)


def test_a_cache_that_cannot_be_used_is_told(tmp_path):
    (tmp_path / "file").write_text("not a database" * 100)
    with pytest.raises(StentorError, match="cache of answers"):
        OpenAIJudge(cache=str(tmp_path / "file")).ask(["x"])


def test_a_policy_judges():
    from stentor_align.testing import small_run

    judge = registry().build("judge", "policy", run=small_run(), batch=2)
    answers = judge.ask(["a", "b", "c"])
    assert len(answers) == 3 and judge.ask(["b"]) == answers[1:2]
    with pytest.raises(StentorError, match="run that judges"):
        registry().build("judge", "policy").ask(["a"])


def test_a_judge_may_be_shown_answers_without_their_thoughts():
    rules = {"first (<think>|hm)": "A", "first no second yes": "B"}
    reward = registry().build("reward", "judge", judge={"name": "scripted", "rules": rules, "otherwise": "A"},
                              template="first $a second $b", reads="answer")  # fmt: skip
    prompts = [{"reference": "<think> hm </think> yes"}] * 2
    found = reward.score(prompts, [{"text": "<think> well </think> no"}, {"text": "<think> unclosed"}])
    assert found.total.tolist() == [-1, 0], "an illegal thought is shown, and then A comes first either way"
