"""Text alone: manifests without audio, and the task that language models are pretrained with."""

import json

import pytest
import torch

from stentor.cli import main
from stentor.data import manifest
from stentor.data.corpora.lm_text import LMText
from stentor.data.corpora.phrases import SpokenPhrases
from stentor.data.corpora.phrases_text import CHAT, Phrases, grammar
from stentor.data.prepare import PrepareSettings, prepare
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Corpus, Item, Rejected
from stentor.sequence import instruction, spans
from stentor.sequence.packing import pack
from stentor.tasks.ragged import Ragged
from stentor.train import load
from stentor.train.assembly import assemble
from stentor.train.weights import digests

CONFIG = {
    "task": {"name": "text-lm"},
    "backbone": {"name": "causal-lm", "dim": 32, "layers": 2, "heads": 2},
    "text": {"name": "characters"},
}
RECIPE = """
defaults: [{task: text-lm}, {backbone: causal-lm}, {tokenizer@text: characters}, _self_]
backbone: {dim: 16, layers: 1, heads: 1}
data: {train: TRAIN, batch_seconds: 60}
train: {steps: 2, tracking: []}
"""


class Texts(Corpus):
    needs_source = False

    def __init__(self, source, workspace):
        pass

    def items(self):
        yield Item("a", None, "a dog barks", custom={"instruction": "repeat", "given": "a dog barks"})
        yield Item("b", None, "running text alone")
        yield Item("c", None)


def test_text_alone_is_prepared_written_and_read_back(tmp_path):
    summary = prepare(Texts(None, tmp_path), tmp_path, PrepareSettings(progress=False))
    assert "text alone" in summary.lines()[0]
    rows = manifest.load(tmp_path / "all.jsonl.gz")
    assert [(row.id, row.audio, row.text) for row in rows] == [
        ("a", "", "a dog barks"), ("b", "", "running text alone"),
    ]  # fmt: skip
    assert rows[0].custom["given"] == "a dog barks"
    assert rows[0].duration == pytest.approx(Utterance.reading_seconds("a dog barks", "a dog barks"))
    assert "neither audio nor text" in (tmp_path / "quarantine.jsonl").read_text()
    manifest.save(tmp_path / "again.jsonl.gz", rows)
    assert manifest.load(tmp_path / "again.jsonl.gz") == rows
    assert manifest.to_cut(rows[0]).supervisions[0].text == "a dog barks"


def test_a_row_without_recording_and_without_text_stays_bad(tmp_path):
    told = {"id": "x", "start": 0, "duration": 1, "channel": 0, "type": "MonoCut"}
    lines = [told, told | {"supervisions": [{"speaker": "s"}]}, {"audio": "a.wav", "text": "b"}]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = list(manifest.rows(tmp_path / "m.jsonl"))
    assert [isinstance(row, Rejected) and "no recording" in row.reason for row in found] == [True] * 3


def test_the_loss_lies_on_the_response_and_on_running_text():
    words = instruction.vocabulary(10)
    packed = pack([instruction.example(words, [1], spans.heard(3), [4, 5]), instruction.running(words, [6, 7])])
    begin, given, answer, end = range(10, 14)
    assert packed.ids.tolist() == [begin, 1, given, -1, -1, -1, answer, 4, 5, end, begin, 6, 7, end]
    assert packed.targets.tolist() == [-100] * 6 + [4, 5, end, -100, 6, 7, end, -100]


def batch(rows):
    return {"texts": [row[2] for row in rows],
            "custom": [{"instruction": row[0], "given": row[1]} if row[0] else {} for row in rows]}  # fmt: skip


def test_it_learns_to_follow_instructions_from_text():
    rows = [("say", "abc", "abc"), ("say", "cab", "cab"), ("end", "abc", "c"), ("end", "cab", "b"), ("", "", "bbb")]
    torch.manual_seed(0)
    task = assemble(CONFIG, texts=["abc", "say end"])
    optimiser = torch.optim.AdamW(task.parameters(), lr=5e-3)
    for _ in range(150):
        optimiser.zero_grad()
        task.training_loss(batch(rows)).value.backward()
        optimiser.step()
    assert task.eval().predict(batch(rows)) == [row[2] for row in rows]
    assert task.predict(batch(rows[2:3])) == ["c"]


def test_ragged_reading_repeats_and_keeps_the_order():
    task = assemble(CONFIG, texts=["abcdef"])
    backbone = task.model.backbone
    read, lengths = Ragged(repeats=3, gaps=0, swaps=0, blur=0)(backbone, [[1, 2, 3], [], [4]], 6)
    assert sum(lengths) == len(read) and lengths[1] == 0 and 3 <= lengths[0] <= 9
    nearest = (read[:, None] - backbone.embed(torch.arange(6))[None]).norm(dim=-1).argmin(-1).tolist()
    assert list(dict.fromkeys(nearest)) == [1, 2, 3, 4]
    silent, _ = Ragged(repeats=1, gaps=1.0, swaps=0, blur=0)(backbone, [[1, 1]], 6)
    assert not torch.allclose(silent[0], silent[1])


def test_a_stranger_takes_the_tokenizer_and_no_weight(tmp_path):
    texts = tmp_path / "texts"
    prepare(Texts(None, texts), texts, PrepareSettings(progress=False))
    (tmp_path / "lm.yaml").write_text(RECIPE.replace("TRAIN", str(texts / "all.jsonl.gz")))
    run = ["train", str(tmp_path / "lm.yaml"), "--run"]
    first, other, child = (str(tmp_path / name) for name in ("first", "other", "child"))
    assert main([*run, first]) == 0
    begun = [f"train.initialise={first}", "seed=7"]
    assert main([*run, other, *begun, "task.tokenizer_only=true"]) == main([*run, child, *begun]) == 0
    states = [load(place)[1].state() for place in (first, other, child)]
    assert states[0] == states[1] == states[2]
    start = [digests(load(place, step=step)[1]) for place, step in ((first, 2), (other, 0), (child, 0))]
    assert start[2] == start[0]
    name = "model.backbone.decoder.embed_tokens.weight"
    assert start[1][name] != start[0][name]


def test_the_phrases_of_the_parts_are_disjoint_and_the_slots_agree():
    spoken = {part: set() for part in ("train", "valid", "heldout")}
    for part, found in spoken.items():
        stream = Phrases(part, 0)
        for _ in range(60):
            sentence, question = stream.sentence(), stream.question()
            assert sentence.german and question.answer and "[" not in sentence.spoken + sentence.german
            found |= {sentence.spoken, question.spoken}
    assert not spoken["train"] & spoken["heldout"] and not spoken["train"] & spoken["valid"]
    assert {topic for topic, _ in grammar().questions} == set(grammar().facts)
    chats = Phrases("train", 0).sentence().chats()
    assert set(chats) <= set(CHAT) and chats["twice"].split()[0] == chats["first word"]


def test_text_for_language_models_holds_no_held_out_sentence():
    rows = list(LMText(None, None, rows=300, chat=100, valid=20).items())
    assert [row.split for row in rows].count("unrelated") == 300
    stream = Phrases("heldout", 0)
    held_out = {stream.sentence().spoken for _ in range(300)} | {stream.question().spoken for _ in range(57)}
    assert not held_out & {row.custom.get("given") for row in rows}
    assert any("given" not in row.custom for row in rows)


def test_the_held_out_voice_may_not_train(tmp_path):
    with pytest.raises(StentorError, match="held-out voice"):
        SpokenPhrases(None, tmp_path, unseen_voice="hibari")
    with pytest.raises(StentorError, match="a training voice at least"):
        SpokenPhrases(None, tmp_path, voices=())


def test_fewer_clips_are_the_first_of_more(tmp_path):
    few, many = (list(SpokenPhrases(None, tmp_path, clips=n).clips()) for n in (5, 9))
    assert few[:5] == many[:5]


def test_it_computes_where_its_weights_are():
    """What is packed and drawn begins on the CPU, and must follow the model to any other device."""
    task = assemble(CONFIG, texts=["abc", "say end"]).to("meta")
    read, lengths = task.ragged(task.model.backbone, [[1, 2, 3]], 6)
    packed = pack([instruction.example(task.vocabulary, [1], spans.heard(lengths[0]), [4, 5])])
    assert task.model.loss(packed, read)[0].device.type == "meta"


def test_it_answers_as_a_policy():
    task = assemble(CONFIG, texts=["abc", "say end"]).eval()
    asked = batch([("say", "abc", "abc"), ("", "", "bbb")]) | {"ids": ["x", "y"]}
    prompts = task.ask(asked)
    assert [len(row) for row in prompts.embeddings] == [1 + 3 + 1 + 3 + 1, 1]
    assert prompts.asked[0] == {"instruction": "say", "given": "abc", "id": "x", "reference": "abc"}
    ids = task.tokens_of({"text": "cab"})
    (made,) = task.responses(prompts, [0], [ids])
    assert made == {"text": "cab", "tokens": ids} and ids[-1] in prompts.stop_ids
    assert task.tokens_of({"tokens": [1, 2]}) == [1, 2]
    assert bool(prompts.grammar.allowed(prompts.grammar.start())[ids].all())
    twice = prompts.repeated([1, 1, 0])
    assert [row["id"] for row in twice.asked] == ["y", "y", "x"] and len(twice) == 3
    with pytest.raises(StentorError, match="'text' or 'tokens'"):
        task.tokens_of({"score": 1.0})
