"""The corpus of spoken questions: what is asked where, and what its responses are worth."""

from collections import Counter

from stentor.plugins import registry
from stentor_align.corpora.questions import SpokenQuestions
from stentor_align.corpora.wording import CAP, DEAF, Annotator, Demonstrator, questions
from stentor_align.rewards.thoughts import Tags

PATTERN = "(?:it is )?(i did not hear|[a-z]+)(?: happy to help| i think| of course)?"


def test_every_question_is_of_one_part_and_the_larger_number_is_larger():
    parts = {part: questions(part, 0) for part in ("train", "valid", "heldout")}
    spoken = [one.spoken for found in parts.values() for one in found]
    assert len(set(spoken)) == len(spoken) == 3 * 2 * 13 * 12
    (one,) = [
        q for q in parts["train"] + parts["valid"] + parts["heldout"] if q.spoken == "which is larger nine or ten"
    ]
    assert (one.answer, one.wrong) == ("ten", "nine")
    assert questions("train", 1) != parts["train"] and set(questions("train", 1)) == set(parts["train"])


def test_the_demonstrator_errs_as_told():
    asked, thoughts, right, deaf = questions("train", 0), Counter(), 0, 0
    demonstrator, reward = Demonstrator(0), registry().build("reward", "answer", pattern=PATTERN)
    for question in asked * 3:
        text = demonstrator.respond(question)
        deaf += text == DEAF
        thought = Tags().split(text)[0]
        thoughts["none" if thought is None else "fits" if 0 < len(thought.split()) <= CAP else "does not"] += 1
        right += reward.score([{"answer": question.answer}], [{"text": text}]).total.item()
    shares = [value / len(asked) / 3 for value in (right, deaf, thoughts["fits"], thoughts["none"])]
    assert all(abs(found - told) < 0.05 for found, told in zip(shares, (0.845, 0.04, 0.34, 0.23), strict=True)), shares


def test_annotators_put_right_before_wrong_and_hearing_before_not_hearing():
    annotator, reward = Annotator(0), registry().build("reward", "answer", pattern=PATTERN)
    for question in questions("train", 0)[:60]:
        told = [{"answer": question.answer}] * 2
        better, worse = annotator.prefer(question, clear=True)
        scores = reward.score(told, [{"text": better}, {"text": worse}]).total.tolist()
        assert scores[0] == 1 and DEAF not in (better, worse)
        assert annotator.prefer(question, clear=False)[0] == DEAF == annotator.counter(question)[1]


def test_clips_are_planned_alike_and_some_are_buried(tmp_path):
    corpus = SpokenQuestions(None, tmp_path, clips=40, valid=5, heldout=5)
    plans = [plan for plan, _ in corpus.clips()]
    assert plans == [plan for plan, _ in SpokenQuestions(None, tmp_path, clips=40, valid=5, heldout=5).clips()]
    assert 2 <= sum(plan.snr is not None for plan in plans) <= 20 and len(plans) == 50
