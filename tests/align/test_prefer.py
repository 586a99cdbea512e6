"""Pairs that people compare: drawn sides, a log that loses nothing, two tabs, and a server that keeps strangers out."""

import errno
import io
import json
import os
import re
import threading
from collections import Counter
from dataclasses import replace

import comparing
import pytest
import soundfile
import tiny
from comparing import asked, served

from stentor.cli import main
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor_align.prefer import votes as votes_module
from stentor_align.prefer.questions import questions
from stentor_align.prefer.showing import Showing
from stentor_align.prefer.votes import Votes


def test_sides_and_order_are_drawn_by_the_seed(tmp_path):
    place = comparing.pairs(tmp_path, 60)
    one, again, other = asked(place)[0], asked(place)[0], asked(place, 1)[0]
    assert [(q.id, q.sides) for q in one] == [(q.id, q.sides) for q in again]
    assert [q.id for q in one] != [q.id for q in other] and {q.id for q in one} == {q.id for q in other}
    first_on_a = sum("score" not in q.sides[0] for q in one)
    assert 15 <= first_on_a <= 45, "a fair coin is outside of this once in 10,000 seeds"


def test_what_a_row_may_hold(tmp_path):
    row = Utterance("r", "", 1.0, 0, text="t")
    rows = [
        replace(row, id="two", custom={"chosen": "a", "rejected": "b"}),
        replace(row, id="three", custom={"ranked": ["a", "b", "c"]}),
        replace(row, id="same", custom={"responses": ["a", {"text": "a", "tokens": [1]}]}),
        replace(row, id="mute", custom={"responses": ["a", {"tokens": [1]}]}),
        replace(row, id="gone", custom={"responses": ["a", {"audio": "gone.wav"}]}),
        replace(row, id="none"),
        replace(row, id="odd", custom={"responses": "ab"}),
        replace(row, id="three-1", custom={"responses": ["x", "y"]}),
    ]
    found, dropped = questions(rows, tmp_path, 0)
    assert sorted(q.id for q in found) == ["three-0", "three-1", "three-2", "two"]
    why = {one.where: one.reason for one in dropped}
    assert why.keys() == {"same", "mute", "gone", "none", "odd", "three-1"}
    assert "here are 1" in why["same"] and "neither 'text' nor 'audio'" in why["mute"] and "gone.wav" in why["gone"]
    assert "list of responses" in why["odd"] and "'three-1' already" in why["three-1"]


def test_a_vote_takes_the_place_of_scores(tmp_path):
    """A pair whose scores say the contrary of a vote would otherwise be left out of training."""
    ranked = [{"text": "a", "score": 2.0}, {"text": "b", "score": 1.0, "tokens": [1]}]
    row = Utterance("r", "", 1.0, 0, text="t", custom={"style": "x", "ranked": ranked})
    (question,), _ = questions([row], tmp_path, 0)
    for side, other in ("ab", "ba"):
        row = question.voted(side)
        assert row.custom["chosen"]["text"] == question.side(side)["text"]
        assert row.custom["rejected"]["text"] == question.side(other)["text"]
        assert set(row.custom) == {"style", "chosen", "rejected"} and "score" not in str(row.custom)


def test_the_log_holds_what_it_was_told(tmp_path):
    place = tmp_path / "v.jsonl"
    log = Votes(place, "x")
    log.add(pair="p", choice="a", ballot="1")
    log.add(pair="p", choice="b", ballot="2")
    log.add(pair="p", choice="a", ballot="1")  # the same vote, sent again after a break
    assert log.last["p"].choice == "b"
    with pytest.raises(StentorError, match="another 'stentor prefer' has it open"):
        Votes(place, "x")
    log.close()
    whole = place.read_bytes()
    place.write_bytes(whole + b'{"pair": "q", "cho')  # as a kill would leave it
    log = Votes(place, "x")
    assert log.last.keys() == {"p"} and place.read_bytes() == whole
    log.add(pair="q", choice="tie")
    log.close()
    with pytest.raises(StentorError, match="votes on other pairs"):
        Votes(place, "y")
    assert place.read_bytes().startswith(whole) and len(place.read_text().splitlines()) == 4
    Votes(place, "x").close()


@pytest.mark.parametrize("torn", [b"", b'{"of"', b'{"of": "other"}\n'])
def test_a_log_without_votes_begins_anew(tmp_path, torn):
    place = tmp_path / "v.jsonl"
    place.write_bytes(torn)
    log = Votes(place, "x")
    log.add(pair="p", choice="a")
    log.close()
    assert [json.loads(line).get("of") for line in place.read_text().splitlines()] == ["x", None]


def test_a_vote_that_the_disk_refuses_is_not_counted(tmp_path, monkeypatch):
    log = Votes(tmp_path / "v.jsonl", "x")
    before, write = log.path.read_bytes(), os.write

    def full(file, data):
        write(file, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(votes_module.os, "write", full)
    with pytest.raises(StentorError, match="No space left"):
        log.add(pair="p", choice="a", ballot="1")
    monkeypatch.undo()
    assert log.last == {} and log.path.read_bytes() == before
    log.add(pair="p", choice="a", ballot="1")
    log.close()
    assert len(log.path.read_text().splitlines()) == 2


def test_two_tabs(tmp_path):
    place, output = comparing.pairs(tmp_path / "in", 3), tmp_path / "out.jsonl.gz"
    with served(place, output, rater="me") as (address, sitting):
        one, two = comparing.following(address, "one")["id"], comparing.following(address, "two")["id"]
        assert one != two, "what one tab shows the other one does not"
        assert comparing.following(address, "one")["id"] == one, "a tab that is loaded again shows the same"
        assert comparing.vote(address, one, "a")[1]["progress"]["voted"] == 1
        third = comparing.following(address, "one")["id"]
        assert comparing.vote(address, two, "tie", "two")[0] == 200
        assert comparing.following(address, "two")["id"] == third, "only what is on show elsewhere is left"
        comparing.vote(address, third, "a", "one")
        assert comparing.following(address, "two") is None, "what has a vote is not shown again"
        told = comparing.vote(address, third, "b", "two")[1]
        assert told["vote"] == {"choice": "b", "tab": "two"} and told["progress"]["voted"] == 3
        assert [(v["pair"], v["choice"], v["tab"]) for v in comparing.logged(output)] == [
            (one, "a", "one"), (two, "tie", "two"), (third, "a", "one"), (third, "b", "two")]  # fmt: skip
        assert comparing.kept(output) == {name: tuple(
            {k: v for k, v in sitting.question(name).side(s).items() if k != "score"} for s in sides)
            for name, sides in ((one, "ab"), (third, "ba"))}  # fmt: skip
        assert comparing.ask(address, f"pair?tab=two&pair={one}")[1]["vote"]["choice"] == "a"
        comparing.vote(address, one, "skip", "two")
        assert comparing.kept(output).keys() == {third}, "a later vote withdraws a preference"


def test_many_tabs_at_once_get_each_pair_once(tmp_path):
    place, output = comparing.pairs(tmp_path / "in", 24), tmp_path / "out.jsonl.gz"
    with served(place, output) as (address, _):

        def person(tab):
            while (pair := comparing.following(address, tab)) is not None:
                comparing.vote(address, pair["id"], "a", tab)

        people = [threading.Thread(target=person, args=(f"tab-{n}",)) for n in range(4)]
        [one.start() for one in people], [one.join() for one in people]
        counts = Counter(one["pair"] for one in comparing.logged(output))
        assert len(counts) == 24 and sum(counts.values()) <= 24 + 3, "only the last ones may be shown to several"
        assert len(comparing.kept(output)) == 24


def test_the_page_knows_nothing_of_origins_and_loads_nothing(tmp_path):
    place, output = comparing.pairs(tmp_path / "in", 2, heard=1), tmp_path / "out.jsonl.gz"
    with served(place, output) as (address, sitting):
        status, page = comparing.ask(address, "")
        text = page.decode()
        assert status == 200 and not re.findall(r"(?:https?:)?//\w+", re.sub(r"(?m)^\s*// .*$", "", text))
        assert not re.search(r"""(?:src|href)\s*=\s*["']""", text) and '<html lang="en">' in text
        for name in sitting.questions:
            told = comparing.ask(address, f"pair?tab=t&pair={name}")[1]["pair"]
            assert set(told) == {"id", "prompt", "a", "b"}
            assert not {"score", "tokens", "audio"} & {*told["a"], *told["b"]} and ".wav" not in str(told)
        heard = sitting.question("row-0")
        for side in "ab":
            status, content = comparing.sound(address, "row-0", side)
            samples, rate = soundfile.read(io.BytesIO(content))
            assert (status, rate) == (200, comparing.RATE)
            assert samples == pytest.approx(soundfile.read(heard.side(side)["audio"])[0], abs=1e-4)
        assert comparing.sound(address, "row-1", "a")[0] == 400


def test_strangers_and_nonsense_are_refused_in_a_sentence(tmp_path):
    place, output = comparing.pairs(tmp_path / "in", 2), tmp_path / "out.jsonl.gz"
    with served(place, output) as (address, _):
        good = {"pair": "row-0", "choice": "a"}
        refused = [
            (403, "pages of its own", ("vote", good, {"Origin": "https://elsewhere.example"})),
            (403, "pages of its own", ("vote", good, {"Host": "elsewhere.example"})),
            (403, "pages of its own", ("next?tab=x", None, {"Host": "elsewhere.example:80"})),
            (404, "nothing at '/etc/passwd'", ("etc/passwd", None, {})),
            (404, "nothing at '/sound/../x/a'", ("sound/../x/a", None, {})),
            (404, "nothing at '/vote'", ("vote", None, {})),
            (400, "no such pair", ("vote", {**good, "pair": "row-9"}, {})),
            (400, "no such vote", ("vote", {**good, "choice": "c"}, {})),
            (400, "'pair' and 'choice'", ("vote", {**good, "rater": "you"}, {})),
            (400, "'pair' and 'choice'", ("vote", {"pair": "row-0"}, {})),
            (400, "object of texts", ("vote", {**good, "tab": 1}, {})),
            (400, "object of texts", ("vote", [], {})),
            (400, "is JSON", ("vote", b"{", {})),
            (400, "at most", ("vote", b" " * 100_000, {})),
            (400, "no such sound", ("sound/row-0/c", None, {})),
        ]
        for status, told, (path, body, headers) in refused:
            found, answer = comparing.ask(address, path, body, **headers)
            assert (found, told in answer["error"]) == (status, True), (path, body, headers, found, answer)
            assert "\n" not in answer["error"]
        assert comparing.logged(output) == [] and not output.exists()
        assert comparing.ask(address, "vote", good, Origin=address.rstrip("/"))[0] == 200


def test_a_prompt_is_shown_as_its_responses_need(tmp_path):
    soundfile.write(tmp_path / "q.wav", comparing.tone(200), comparing.RATE)
    row = Utterance("r", str(tmp_path / "q.wav"), 0.5, comparing.RATE, text="turn left", frames=comparing.RATE // 2)
    spoken = {"responses": [{"audio": "q.wav"}, "b"], "prompt": {"audio": str(tmp_path / "q.wav")}}
    chat = {"responses": ["a", "b"], "messages": [{"role": "user", "content": "hi"}]}
    made = {
        "read": replace(row, id="read", custom={"responses": ["turn left", "turn lift"]}),
        "heard": replace(row, id="heard", custom=spoken),
        "chat": Utterance("chat", "", 1.0, 0, text="never shown", custom=chat),
        "plain": Utterance("plain", "", 1.0, 0, text="good day", custom={"responses": ["a", "b"]}),
    }
    found = {one.id: one for one in questions(list(made.values()), tmp_path, 0)[0]}

    def prompt(name, wanted="auto"):
        return [
            (item["label"], item.get("text", item.get("sound")))
            for item in Showing("", wanted).shown(found[name])["prompt"]
        ]

    assert prompt("read") == [("Recording", "prompt")], "a transcript is compared with what is heard, not with another"
    assert prompt("read", "both") == [("Text", "turn left"), ("Recording", "prompt")]
    assert prompt("heard") == [("Text", "turn left"), ("The voice to sound like", "voice")]
    assert prompt("heard", "audio") == [("Recording", "prompt"), ("The voice to sound like", "voice")]
    assert prompt("chat") == [("User", "hi")] and prompt("plain") == [("Text", "good day")]


def test_a_kill_loses_nothing_that_was_answered_for(tmp_path):
    place, output = comparing.pairs(tmp_path, 40, heard=1), tmp_path / "votes" / "mine.jsonl.gz"
    answered = {}
    words = (place, "-o", output, "--rater", "me")

    def person(address):
        try:
            while (pair := comparing.following(address, "one")) is not None:
                choice = "ab"[len(answered) % 2]
                if comparing.vote(address, pair["id"], choice)[0] == 200:
                    answered[pair["id"]] = choice
        except OSError:
            pass  # the server is dead

    with comparing.comparing(*words) as (process, address):
        voting = threading.Thread(target=person, args=(address,))
        voting.start()
        while len(answered) < 15:
            assert voting.is_alive()
        process.kill()
        voting.join()
    before = dict(answered)
    assert 15 <= len(before) < 40
    log = {one["pair"]: one["choice"] for one in comparing.logged(output)}
    assert before.items() <= log.items() and len(log) <= len(before) + 1
    with comparing.comparing(*words) as (process, address):
        assert len(comparing.kept(output)) == len(log)
        assert comparing.ask(address, "state")[1]["progress"]["voted"] == len(log)
        assert main(["prefer", str(place), "-o", str(output)]) == 2, "a second server of the same votes"
        person(address)
        process.terminate()
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0 and "40 preferences" in said and "0 to go" in said
    sides = {one.id: one for one in asked(place)[0]}
    found = comparing.kept(output)
    assert found.keys() == sides.keys()
    for name, choice in ({**log, **answered}).items():
        told = sides[name].side(choice)
        assert found[name][0].get("text") == told["text"]
    assert all(row.custom["vote"]["rater"] == "me" for row in manifest.load(output))


def test_votes_train_a_policy(tmp_path):
    from stentor.train.run import fit

    place, output = comparing.pairs(tmp_path / "in", 6), tmp_path / "out.jsonl.gz"
    with served(place, output) as (_, sitting):
        for number, name in enumerate(sitting.questions):
            sitting.vote(name, "ab"[number % 2])
    parent = tiny.kept(tmp_path / "parent")
    fit(tiny.recipe({"name": "dpo", "run": str(parent)}, output, steps=2), tmp_path / "run", progress=False)
    told = [line for line in tiny.lines(tmp_path / "run") if "dropped" in line]
    assert told and not any(line["dropped"] for line in told)


def test_a_run_is_asked_once_and_says_the_same_after_a_stop(tmp_path, monkeypatch):
    import torch

    from stentor.tasks.text_lm import TextLMTask
    from stentor_align.prefer.sampled import Asked, Sampled

    prompts = tiny.manifest(tmp_path, [(text, {}) for text in ("abc", "fed", "cab", "ace")], name="valid")
    parent = str(tiny.kept(tmp_path / "parent", data={"valid": str(prompts)}))
    wanted, places = Asked(rows=3, samples=3, seed=1), (tmp_path / "o.samples.jsonl", tmp_path / "o.audio")
    made = TextLMTask.responses

    def aloud(self, *given):
        return [{**one, "audio": torch.rand(8000) - 0.5, "sample_rate": 16000} for one in made(self, *given)]

    monkeypatch.setattr(TextLMTask, "responses", aloud)
    source = Sampled(parent, wanted, *places)
    rows, dropped = source.rows()
    assert len(rows) == 3 and not dropped and all(len(row.custom["responses"]) == 3 for row in rows)
    found, _ = questions(rows, source.folder, 0)
    assert found and all("score" not in side and os.path.isfile(side["audio"]) for one in found for side in one.sides)
    monkeypatch.setattr(TextLMTask, "responses", None)  # nobody asks again
    again = Sampled(parent, wanted, *places)
    assert again.rows()[0] == rows and again.identity == source.identity
    assert Sampled(parent, Asked(rows=3, samples=3, seed=2), *places).identity != source.identity


def test_the_command_refuses_in_a_sentence(tmp_path, capsys):
    place = comparing.pairs(tmp_path, 2)
    there, plain = tmp_path / "there.jsonl.gz", tmp_path / "plain.jsonl.gz"
    there.write_bytes(place.read_bytes())
    manifest.save(plain, [Utterance("r", "", 1.0, 0, text="t")])
    bare = tiny.kept(tmp_path / "bare")
    cases = {
        ("gone.jsonl.gz",): "cannot be opened",
        (place, "-o", there): "name another file with -o",
        (place, plain): "prompts are for a run",
        (plain,): "no pair to compare",
        (bare,): "no validation set",
        (place, "--port", "99999"): "Port 0 takes a free one",
        (place, "--rows", "0"): None,
    }
    for words, told in cases.items():
        if told is None:
            with pytest.raises(SystemExit):
                main(["prefer", *map(str, words)])
            continue
        assert main(["prefer", *map(str, words), "--no-open"]) == 2, words
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1, error
    assert there.read_bytes() == place.read_bytes()
