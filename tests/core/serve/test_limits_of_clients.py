"""Rates and room, without a server."""

import json

import pytest

from stentor.serve.limits import Rate, Room
from stentor.serve.refusals import Refusal


def test_a_bucket_fills_steadily():
    now = [0.0]
    rate = Rate(60, clock=lambda: now[0])
    for _ in range(60):
        rate.take("a")
    with pytest.raises(Refusal) as caught:
        rate.take("a")
    assert caught.value.status == 429 and caught.value.headers() == {"retry-after": "1"}
    rate.take("b")
    now[0] = 2.0
    rate.take("a"), rate.take("a")
    with pytest.raises(Refusal):
        rate.take("a")
    now[0] = 1e6
    for _ in range(60):
        rate.take("a")
    with pytest.raises(Refusal):
        rate.take("a")


def test_no_rate_is_no_limit():
    rate = Rate(0)
    for _ in range(1000):
        rate.take("a")


def test_less_than_one_a_minute_lets_the_first_in():
    now = [0.0]
    rate = Rate(0.5, clock=lambda: now[0])
    rate.take("a")
    with pytest.raises(Refusal) as caught:
        rate.take("a")
    assert caught.value.retry_after == pytest.approx(120)


def test_clients_that_come_and_go_are_forgotten():
    rate = Rate(1)
    for number in range(20_000):
        rate.take(str(number))
    assert len(rate._left) == 10_000


def test_room_is_given_back_after_a_failure():
    room = Room(1)
    with pytest.raises(ZeroDivisionError), room.one():
        with pytest.raises(Refusal), room.one():
            pass
        raise ZeroDivisionError
    assert room.taken == 0


def test_a_refusal_of_broken_unicode_can_be_sent():
    refusal = Refusal("there is no field '\ud800'.", path="\ud800", value="\ud800", options=("model",))
    told = refusal.body("a")["error"]
    assert (told["message"], told["param"]) == (r"\ud800: there is no field '\ud800'. Options: model.", r"\ud800")
    json.dumps(refusal.body("a"), ensure_ascii=False).encode()
