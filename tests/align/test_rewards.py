"""Rules, composition, and what happens where a part fails."""

import math
import time

import pytest
import torch

from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor.plugins import registry
from stentor_align.rewards import safety
from stentor_align.rewards.composite import CompositeReward, Part
from stentor_align.rewards.shaping import shaped


def total(name, *texts, prompt=None, **options):
    reward = registry().build("reward", name, **options)
    prompts = [prompt or {}] * len(texts)
    return reward.score(prompts, [{"text": text} for text in texts]).total.tolist()


class Lengthy(Reward):
    """The length of the text; what it does with some texts is a disaster."""

    nature = "verifiable"

    def score(self, prompts, responses):
        texts = [response["text"] for response in responses]
        if "boom" in texts:
            raise RuntimeError("it broke")
        if "slow" in texts:
            time.sleep(5)
        lengths = torch.tensor([{"nan": math.nan, "inf": math.inf}.get(t, float(len(t))) for t in texts])
        return Scores(lengths, {"half": lengths / 2})


@pytest.fixture(autouse=True)
def lengthy(monkeypatch):
    found = registry()
    monkeypatch.setattr(found, "_entries", dict(found._entries))
    found.add("reward", "lengthy", f"{__name__}:Lengthy")


def test_shapes():
    scores = torch.tensor([-3.0, 0, 1, 3, math.nan])
    expected = {"linear": [-1.5, 0, 0.5, 1.5], "tanh": [math.tanh(x / 2) for x in (-3, 0, 1, 3)],
                "log": [-math.log(2.5), 0, math.log(1.5), math.log(2.5)], "threshold": [0, 0, 1, 1]}  # fmt: skip
    for shape, values in expected.items():
        found = shaped(scores, shape, scale=2.0, threshold=1.0)
        torch.testing.assert_close(found, torch.tensor([*values, math.nan]), equal_nan=True)


def composed(**parts):
    return CompositeReward(parts={name: Part(reward={"name": "lengthy"}, **told) for name, told in parts.items()})


def score(reward, *texts):
    return reward.score([{}] * len(texts), [{"text": text} for text in texts])


def test_parts_are_weighed_shaped_bounded_and_told_apart():
    reward = composed(
        plain={"weight": 0.5}, capped={"weight": 10, "shape": "linear", "scale": 2, "high": 1, "low": 0.75}
    )
    found = score(reward, "a", "abcd")
    assert found.total.tolist() == [0.5 * 1 + 10 * 0.75, 0.5 * 4 + 10 * 1]
    assert found.parts["plain"].tolist() == [1, 4] and found.parts["capped/half"].tolist() == [0.5, 2]
    assert set(found.parts) == {f"{p}{n}" for n in ("plain", "capped") for p in ("", "failed/")} | {
        "plain/half", "capped/half"}  # fmt: skip


def test_a_gate_closes_the_whole_reward():
    reward = CompositeReward(
        parts={
            "gate": Part(reward={"name": "lengthy"}, gate=True, threshold=3),
            "rest": Part(reward={"name": "lengthy"}),
        },
        closed=-1,
    )
    assert score(reward, "ab", "abc").total.tolist() == [-1, 3]


@pytest.mark.parametrize("text", ["boom", "nan", "inf"])
def test_a_part_that_fails_costs_its_sample_alone(text):
    with pytest.warns(UserWarning, match="a sample is left out") if text == "boom" else torch.no_grad():
        found = score(composed(one={}), "a", text, "abc")
    assert found.total.isnan().tolist() == [False, True, False] and found.total[2] == 3
    assert found.parts["failed/one"].tolist() == [0, 1, 0]
    with pytest.warns(UserWarning) if text == "boom" else torch.no_grad():
        spared = score(composed(one={"needed": False}, two={"needed": False}), text, "abc")
    assert spared.total.tolist() == [0, 6]


def test_a_gate_that_cannot_be_scored_stays_closed():
    parts = {
        "gate": Part(reward={"name": "lengthy"}, gate=True, threshold=0, needed=False),
        "one": Part(reward={"name": "lengthy"}, needed=False),
    }
    with pytest.warns(UserWarning, match="a sample is left out"):
        assert score(CompositeReward(parts=parts, closed=-1), "boom", "a").total.tolist() == [-1, 1]


def test_a_reward_that_is_timed_computes_under_the_same_gradient_mode():
    modes = []
    with torch.no_grad():
        safety.within(5, lambda: modes.append(torch.is_grad_enabled()), who=safety.Scores)
    safety.within(5, lambda: modes.append(torch.is_grad_enabled()), who=safety.Scores)
    assert modes == [False, True]


def test_a_part_that_takes_too_long_is_given_up():
    with pytest.warns(UserWarning, match=r"more than 0\.05 s; 2 samples"):
        began = time.monotonic()
        found = score(composed(one={"timeout": 0.05}), "slow", "a")
    assert time.monotonic() - began < 2 and found.total.isnan().all() and found.parts["failed/one"].tolist() == [1, 1]
    assert score(composed(one={"timeout": 5}), "a").total.tolist() == [1]


def test_scores_of_the_wrong_shape_are_a_failure():
    class Wrong(Lengthy):
        def score(self, prompts, responses):
            return Scores(torch.zeros(1, 1), {})

    with pytest.warns(UserWarning, match=r"shape \(1, 1\)"):
        assert safety.score(Wrong(), [{}], [{}]).total.isnan().all()


def test_a_composition_in_plain_data_is_checked_and_filled_in(tmp_path):
    from stentor.config import Recipe

    def recipe(parts):
        task = {"name": "grpo", "run": "somewhere", "reward": {"name": "composite", "parts": parts}}
        return Recipe.from_dict({"task": task, "data": {"train": "x"}, "train": {}})

    parts = {"length": {"reward": {"name": "thought-length", "cap": 8}, "weight": 2}}
    found = recipe(parts).config["task"]["reward"]["parts"]["length"]
    assert found["shape"] == "linear" and found["reward"]["unit"] == "words"
    made = registry().build("reward", "composite", parts=recipe(parts).config["task"]["reward"]["parts"])
    assert made.rewards["length"].cap == 8
    for wrong, said in (
        ({"reward": "thought-lenght"}, "thought-lenght"),
        ({"reward": "format", "wieght": 1}, "weight"),
        ({"reward": "format", "scale": 0}, "more than 0"),
        ({"weight": 1}, "reward"),
    ):
        with pytest.raises(StentorError, match=said):
            recipe({"one": wrong})


def test_formats():
    legal = ("yes", "<think>so</think> yes", "  <think>a b</think>no")
    illegal = ("<think>so", "so</think> yes", "<think>a</think><think>b</think>c", "yes <think>so</think>",
               "<think>so</think>", "</think>so<think>", "<think></think>yes")  # fmt: skip
    assert total("format", *legal) == [1, 1, 1] and total("format", *illegal) == [0] * len(illegal)
    assert total("format", *legal, thought=True) == [0, 1, 1]
    assert total("format", "12", "12x", pattern=r"\d+") == [1, 0]
    assert math.isnan(registry().build("reward", "format").score([{}], [{}]).total.item())
    for wrong in ({"pattern": "("}, {"opening": ""}, {"closing": "<think>"}):
        with pytest.raises(StentorError):
            registry().build("reward", "format", **wrong)


def test_the_length_of_thoughts():
    texts = ("<think>a b c</think>x", "<think>a b c d</think>x", "<think> </think>x", "x", "<think>a")
    assert total("thought-length", *texts, cap=3) == [1, 0, 0, 0, 0]
    assert total("thought-length", *texts, cap=7, unit="characters") == [1, 1, 0, 0, 0]


WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
           "required": ["city"], "additionalProperties": False}}  # fmt: skip


def test_tool_calls():
    pytest.importorskip("jsonschema")
    good, other = (
        '{"name": "weather", "arguments": {"city": "Oslo"}}',
        '{"name": "weather", "arguments": {"town": "Oslo"}}',
    )
    wrong = ('{"name": "time", "arguments": {}}', other, "the weather in Oslo", '{"name": "weather"}', "[]", "{" * 9999)
    assert total("tool-call", good, *wrong, prompt={"tools": [WEATHER]}) == [1] + [0] * len(wrong)
    assert total("tool-call", good, prompt={"tools": [{"type": "function", "function": WEATHER}]}) == [1]
    due = {"tools": [WEATHER], "call": {"name": "weather", "arguments": {"city": "Rome"}}}
    assert total("tool-call", good, good.replace("Oslo", "Rome"), prompt=due) == [0, 1]
    assert total("tool-call", good, "It is late.", prompt={"tools": [WEATHER], "call": None}) == [0, 1]
    assert total("tool-call", f"<call>{good}</call>", good, opening="<call>", closing="</call>") == [1, 0]


def test_a_reward_model_scores_prompts_it_is_given_once_each(monkeypatch):
    from stentor_align import logprobs, rows
    from stentor_align.testing import small_reward_model

    reward = registry().build("reward", "bradley-terry", run=small_reward_model(), mean=1.0, scale=2.0)
    batch = {"ids": ["a", "b"], "texts": ["yes", "no"], "speakers": ["", ""], "custom": [{"instruction": "say"}, {}]}
    prompts = [{"row": row} for row in rows.split(batch)]
    responses = [{"text": "yes"}, {"text": ""}, {"tokens": [1, 2, 9999]}, {"text": "no"}]
    asked = []
    original = logprobs.read
    monkeypatch.setattr(
        logprobs, "read", lambda *given, **more: asked.append(len(given[1])) or original(*given, **more)
    )
    found = reward.score([prompts[0], prompts[0], prompts[1], prompts[1]], responses)
    assert asked == [2] and found.total.isnan().tolist() == [False, False, True, False]
    torch.testing.assert_close(found.total, (found.parts["score"] - 1) / 2, equal_nan=True)
    single = reward.score([prompts[1]], [responses[3]]).total
    torch.testing.assert_close(single, found.total[3:], atol=1e-5, rtol=0)
    made_up = reward.score([{"reference": "yes", "instruction": "say", "id": "a"}], [responses[0]]).total
    torch.testing.assert_close(made_up, found.total[:1], atol=1e-5, rtol=0)
    with pytest.raises(StentorError, match="name the run"):
        registry().build("reward", "bradley-terry").load_pretrained()


def test_rows_of_a_batch_and_back():
    from stentor_align import rows

    audio, lengths = torch.arange(8.0).view(2, 4), torch.tensor([4, 2])
    batch = {"ids": ["a", "b"], "texts": ["x", "y"], "audio": audio, "audio_lengths": lengths, "seconds": 2.0}
    one, other = rows.split(batch)
    assert other["audio"].tolist() == [[4, 5]] and other["ids"] == ["b"] and "seconds" not in one
    again = rows.joined([one, other])
    assert again["audio"].tolist() == [[0, 1, 2, 3], [4, 5, 0, 0]] and again["audio_lengths"].tolist() == [4, 2]
    assert again["texts"] == ["x", "y"] and rows.joined([]) == {}


def test_an_answer_is_what_stands_behind_the_thought_in_the_place_for_it():
    prompt = {"answer": ["nine", "9"], "reference": "four"}
    texts = [
        "<think> nine or four </think> it is Nine",
        "nine",
        "9",
        "it is four",
        "it is four nine",
        "<think> nine",
        "",
    ]
    found = total("answer", *texts, prompt=prompt, pattern=r"(?:it is )?(\w+)")
    assert found == [1, 1, 1, 0, 0, 0, 0]
    reward = registry().build("reward", "answer")
    scores = reward.score([{}, {"answer": 9}, {"reference": "four"}], [{"text": "four"}] * 3).total.tolist()
    assert math.isnan(scores[0]) and math.isnan(scores[1]) and scores[2] == 1
    for wrong in ("(", "nine"):
        with pytest.raises(StentorError):
            registry().build("reward", "answer", pattern=wrong)
