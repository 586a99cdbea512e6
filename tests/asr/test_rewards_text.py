"""Rewards for transcripts, worked by hand. Their contracts: tests/contracts."""

import math

import pytest
import torch

from stentor.errors import StentorError
from stentor.evaluate.metrics import CharacterErrorRate, WordErrorRate
from stentor.plugins import registry


def scored(name, prompts, responses, **options):
    return registry().build("reward", name, **options).score(prompts, responses)


def one(name, prompt, text, **options):
    scores = scored(name, [prompt], [{"text": text}], **options)
    return scores.total.item(), {part: value.item() for part, value in scores.parts.items()}


def test_wer_counts_each_kind_of_error():
    # open|the|window|please to open|a|window|now|please|do: one substituted, two inserted, of four words
    total, parts = one("wer", {"reference": "open the window please"}, "open a window now please do")
    assert parts == {"rate": 0.75, "substituted": 1, "inserted": 2, "deleted": 0}
    assert total == 0.25
    assert one("wer", {"reference": "go left now"}, "go now")[1]["deleted"] == 1


def test_a_rate_above_one_scores_nothing_and_stays_in_the_parts():
    total, parts = one("wer", {"reference": "yes"}, "oh well then no")
    assert (total, parts["rate"]) == (0, 4)
    assert one("wer", {"reference": ""}, "two words") == (0, {"rate": 2, "substituted": 0, "inserted": 2, "deleted": 0})
    assert one("wer", {"reference": ""}, "")[0] == 1


def test_cer_counts_characters_and_spaces():
    # abc d to abd: c becomes d, the space and d are deleted
    total, parts = one("cer", {"reference": "abc d"}, "abd", normaliser="none")
    assert parts["rate"] == pytest.approx(2 / 5) and parts["substituted"] + parts["deleted"] == 2
    assert total == pytest.approx(3 / 5)


def test_the_normaliser_decides_what_is_the_same():
    prompt, said = {"reference": "Colour, twenty-one!"}, "color 21"
    assert one("wer", prompt, said)[0] == 1
    assert one("wer", prompt, said, normaliser="none")[0] == 0
    with pytest.raises(StentorError, match="normaliser"):
        registry().build("reward", "wer", normaliser="klingon")


@pytest.mark.parametrize(("name", "metric"), [("wer", WordErrorRate), ("cer", CharacterErrorRate)])
def test_the_rate_is_that_of_the_metric(name, metric):
    references = ["turn left at the light", "stop", "seven boats sail home tonight"]
    outputs = ["turn left at light", "please stop it", "seven goats sell home to knight"]
    rates = scored(name, [{"reference": one} for one in references], [{"text": one} for one in outputs]).parts["rate"]
    counts = metric().counts(references, outputs)
    assert torch.allclose(rates, torch.tensor([errors / units for errors, units in counts]))


@pytest.mark.parametrize("name", ["wer", "cer", "keyword"])
def test_what_is_missing_is_nan_and_leaves_the_rest(name):
    prompts = [
        {"reference": "turn left"},
        {},
        {"reference": None},
        {"reference": "turn left"},
        {"reference": "turn left"},
    ]
    responses = [{"text": "turn left"}, {"text": "turn left"}, {"text": "turn left"}, {}, {"text": 7}]
    scores = scored(name, prompts, responses)
    for values in (scores.total, *scores.parts.values()):
        assert torch.isnan(values).tolist() == [False, True, True, True, True]
    assert scores.total[0] == 1


def test_keywords_are_shares_of_phrases():
    prompt = {"keywords": ["red lamp", "Kitchen", "off"], "forbidden": ["lamp red", "bedroom"]}
    # two of three required are said (red lamp, kitchen), one of two forbidden (bedroom)
    total, parts = one("keyword", prompt, "the red lamp in the kitchen, no, the bedroom: on")
    assert parts == pytest.approx({"required": 2 / 3, "forbidden": 1 / 2})
    assert total == pytest.approx(2 / 3 - 1 / 2)
    assert one("keyword", prompt, "the red lamp in the kitchen, no, the bedroom", penalty=0.2)[0] == pytest.approx(
        2 / 3 - 0.2 / 2
    )


def test_a_keyword_is_a_word_and_not_a_part_of_one():
    assert one("keyword", {"keywords": ["on"]}, "stop only once")[0] == 0
    assert one("keyword", {"keywords": ["on"]}, "switch it on")[0] == 1


def test_one_keyword_needs_no_list():
    assert one("keyword", {"keywords": "new york"}, "to new york")[0] == 1.0
    assert one("keyword", {"keywords": "new york"}, "new in york")[0] == 0.0


def test_where_only_words_are_forbidden_silence_is_right():
    assert one("keyword", {"forbidden": ["stop"]}, "")[0] == 1
    assert one("keyword", {"forbidden": ["stop"]}, "stop")[0] == 0
    assert math.isnan(one("keyword", {"keywords": [], "forbidden": ["(laughs)"]}, "stop")[0])


def test_without_keywords_the_words_of_the_reference_are_required():
    assert one("keyword", {"reference": "go left, go"}, "left")[0] == 0.5
