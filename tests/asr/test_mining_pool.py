"""Mining a pool: what the miner can see, shards, resuming, and the journey of a labelling team."""

import gzip
import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from stentor import cli, train
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_asr.ctc import CTCTask
from stentor_asr.mining import bags, hearing, labels, mine, pool, shards
from stentor_asr.mining.field import FieldCommands
from stentor_asr.speech_lm import SpeechLMTask

RATE = 16000
SECRET = "xylophone zanzibar"
CTC = {
    "encoder": {"name": "conformer", "dim": 16, "layers": 1, "heads": 2, "kernel": 3, "bands": 20},
    "text": {"name": "characters"},
    "decoder": {"name": "ctc-greedy"},
}
SPEECH_LM = {
    "encoder": CTC["encoder"],
    "adapter": {"name": "stack", "hidden": 16},
    "backbone": {"name": "causal-lm", "dim": 16, "layers": 1, "heads": 2},
    "text": {"name": "characters"},
}


def task_of(cls, sections):
    torch.manual_seed(0)
    return cls.assemble(sections, texts=["open the door"]).eval()


@pytest.fixture
def task(monkeypatch):
    built = task_of(CTCTask, CTC)
    recipe = SimpleNamespace(settings=lambda section: SimpleNamespace(normaliser="basic"))
    monkeypatch.setattr(train, "load", lambda folder, **_: (recipe, built))
    shards._task.cache_clear()
    yield built
    shards._task.cache_clear()


def tone(path, seconds, seed):
    """Something with a voice's period and pauses, so that the guard lets it pass."""
    time = np.arange(round(seconds * RATE)) / RATE
    buzz = sum(np.sin(2 * np.pi * (110 + 10 * seed) * k * time) / k for k in range(1, 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.05 * buzz * (np.sin(2 * np.pi * (2 + seed % 3) * time) > -0.3), RATE)


def corpus(folder, name, count, text=None, speaker=None, **custom):
    rows = []
    for index in range(count):
        seconds = 0.6 + 0.1 * (index % 7)
        path = folder / f"audio/{index:03d}.wav"
        if not path.exists():
            tone(path, seconds, index)
        rows.append(Utterance(f"u{index:03d}", str(path), seconds, RATE, text=text, speaker=speaker,
                              frames=round(seconds * RATE), custom=custom))  # fmt: skip
    manifest.save(folder / name, rows)
    return folder / name


def job(path, name="entropy", labelled=None, **options):
    return mine.Job(Path("run"), path, registry().build("ranker", name, **options), name, labelled)


def settings(seconds=3.0, **more):
    return mine.MineSettings(seconds / 3600, device="cpu", progress=False, **more)


def content(folder):
    return gzip.decompress((folder / mine.SELECTED).read_bytes())


def test_planted_transcripts_cannot_be_seen(task, tmp_path, monkeypatch):
    """Not by what listens, ranks, travels to other processes or is written; and they change no byte of the result."""
    seen, listen = [], bags.listen

    def spy(task, clips, waves):
        found = listen(task, clips, waves)
        seen.append(pickle.dumps((clips, found)))
        return found

    def execute(given):
        seen.extend(map(pickle.dumps, given))
        yield from shards.here(given, 1)

    monkeypatch.setattr(bags, "listen", spy)
    labelled = corpus(tmp_path / "l", "labelled.jsonl", 12, text="open the door")
    results = []
    for index, text in enumerate((None, SECRET, "something else")):
        planted = corpus(tmp_path / "p", "pool.jsonl", 12, text=text, speaker=text, note=text or "")
        mine.mine(job(planted, "mil", labelled, steps=5), tmp_path / f"out-{index}", settings(), execute)
        results.append(content(tmp_path / f"out-{index}"))
    assert results[0] == results[1] == results[2]
    assert len(seen) > 3 and not any(SECRET.encode() in one for one in seen)
    files = [file for file in (tmp_path / "out-1").rglob("*") if file.is_file()]
    assert files and not any(SECRET.encode() in file.read_bytes() for file in files)
    row = Utterance("a", "/a.wav", 1.0, RATE, text=SECRET, speaker=SECRET, language=SECRET, custom={"t": SECRET})
    assert SECRET not in repr(pool.stripped(row)) + repr(pool.stripped(row).utterance())


def test_no_sidecar_tag_or_name_of_a_file_reaches_the_ranker(task, tmp_path, monkeypatch):
    """A corpus that spells its transcripts in folders, file names, tags and text files gives the plain one's result."""
    seen, entropy = [], registry().get("ranker", "entropy").load()

    def spy(self, bags):
        seen.extend(map(pickle.dumps, bags))
        return judge(self, bags)

    judge = entropy.judge
    monkeypatch.setattr(entropy, "judge", spy)
    plain = manifest.load(corpus(tmp_path / "plain", "pool.jsonl", 8))
    told = []
    for row in plain:
        path = tmp_path / SECRET / f"{row.id} {SECRET}.wav"
        path.parent.mkdir(exist_ok=True)
        samples, rate = soundfile.read(row.audio)
        with soundfile.SoundFile(path, "w", rate, 1) as file:
            file.title = file.comment = SECRET
            file.write(samples)
        for suffix in (".txt", ".lab", ".json"):
            path.with_suffix(suffix).write_text(SECRET)
        told.append(Utterance(row.id, str(path), row.duration, rate, frames=row.frames))
    manifest.save(tmp_path / "told.jsonl", told)
    results = [
        mine.mine(job(path), tmp_path / f"out-{index}", settings())
        for index, path in enumerate((tmp_path / "plain/pool.jsonl", tmp_path / "told.jsonl"))
    ]
    assert len(seen) == 16 and not any(SECRET.encode() in one for one in seen)
    assert results[0].judged == results[1].judged and results[0].chosen == results[1].chosen


def test_references_count_as_the_run_is_scored(task, tmp_path):
    """Capitals and full stops of a labelled set are no errors, where the run's normaliser ignores them."""
    rows = manifest.load(corpus(tmp_path, "labelled.jsonl", 10, text="x"))
    found = hearing.heard(task, [pool.stripped(row) for row in rows], list)
    written = {one.clip.id: f"{one.bag.hypothesis.upper()}." for one in found}
    manifest.save(tmp_path / "written.jsonl", [replace(row, text=written[row.id]) for row in rows])
    basic, none = (labels.read(tmp_path / "written.jsonl", task, list, name) for name in ("basic", "none"))
    assert {one.errors for one in basic} == {0} and min(one.errors for one in none) > 0


def test_selection_is_a_manifest_with_reasons_ranked_within_the_hours(task, tmp_path):
    path = corpus(tmp_path, "pool.jsonl.gz", 14)
    found = mine.mine(job(path), tmp_path / "out", settings(4.0))
    rows = manifest.load(tmp_path / "out" / mine.SELECTED)
    assert [row.id for row in rows] == [choice.judged.id for choice in found.chosen]
    assert 3.0 < sum(row.duration for row in rows) <= 4.0
    gains = [row.custom["mining"]["expected_gain"] for row in rows]
    assert gains == sorted(gains, reverse=True) and min(gains) > 0
    for row in rows:
        told = row.custom["mining"]
        assert row.text is None and {"confidence", "entropy", "quality", "hypothesis", "flags"} <= told.keys()
        assert all(0 <= start < end <= row.duration + 0.05 for start, end, _ in told["attended"])


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SECONDS", 2.0)


def test_resumed_equals_uninterrupted(task, tmp_path, small_shards):
    path, labelled = corpus(tmp_path, "pool.jsonl", 14), corpus(tmp_path / "l", "labelled.jsonl", 12, text="open it")
    carried = []

    def stops(given):
        carried.extend(given[:2])
        yield from shards.here(given[:2], 1)
        raise KeyboardInterrupt

    def goes_on(given):
        carried.extend(given)
        yield from shards.here(given, 1)

    asked = {"name": "mil", "labelled": labelled, "steps": 5}
    with pytest.raises(KeyboardInterrupt):
        mine.mine(job(path, **asked), tmp_path / "killed", settings(), stops)
    assert not (tmp_path / "killed" / mine.SELECTED).exists()
    mine.mine(job(path, **asked), tmp_path / "killed", settings(), goes_on)
    mine.mine(job(path, **asked), tmp_path / "whole", settings())
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert len(carried) == len({shard.target for shard in carried}) > 4
    assert (tmp_path / "killed" / mine.SUMMARY).read_bytes() == (tmp_path / "whole" / mine.SUMMARY).read_bytes()


def test_what_was_judged_otherwise_is_judged_again(task, tmp_path, small_shards):
    path, counts = corpus(tmp_path, "pool.jsonl", 6), []

    def counting(given):
        counts.append(len(given))
        yield from shards.here(given, 1)

    for ranker, seed in (("random", 0), ("random", 0), ("random", 1), ("length", None)):
        options = {} if seed is None else {"seed": seed}
        mine.mine(job(path, ranker, **options), tmp_path / "out", settings(), counting)
    with torch.no_grad():
        task.out.bias.add_(1.0)
    mine.mine(job(path, "length"), tmp_path / "out", settings(), counting)
    assert counts[0] > 1 and counts == [counts[0], 0, counts[0], counts[0], counts[0]]
    assert len(list((tmp_path / "out/.shards").iterdir())) == counts[0]


def test_shards_part_the_pool_and_do_not_change_the_result(task, tmp_path, monkeypatch):
    path = corpus(tmp_path, "pool.jsonl", 14)
    whole = mine.mine(job(path), tmp_path / "one", settings())
    monkeypatch.setattr(shards, "SECONDS", 2.0)
    planned = []
    parted = mine.mine(job(path), tmp_path / "many", settings(),
                       lambda given: (planned.extend(given), shards.here(given[::-1], 1))[1])  # fmt: skip
    assert sorted(clip.id for shard in planned for clip in shard.clips) == [f"u{i:03d}" for i in range(14)]
    assert [one.judged.id for one in parted.chosen] == [one.judged.id for one in whole.chosen]
    for one, other in zip(parted.chosen, whole.chosen, strict=True):
        assert one.judged.hardness == pytest.approx(other.judged.hardness, abs=1e-5)


def test_ray_gets_every_shard_once(task, tmp_path, small_shards, monkeypatch):
    class Remote:
        def __init__(self, function):
            self.function = function

        def remote(self, shard):
            return pickle.dumps(shard)

    fake = ModuleType("ray")
    calls = []
    fake.init = lambda address, ignore_reinit_error: calls.append(address)
    fake.remote = Remote
    fake.cluster_resources = lambda: {"CPU": 2.0}
    fake.wait = lambda waiting, num_returns: (waiting[-num_returns:], waiting[:-num_returns])
    fake.get = lambda reference: shards.carry_out(pickle.loads(reference))
    monkeypatch.setitem(sys.modules, "ray", fake)
    path = corpus(tmp_path, "pool.jsonl", 10)
    mine.mine(job(path), tmp_path / "ray", settings(), lambda given: shards.on_ray(given, "head:6379"))
    mine.mine(job(path), tmp_path / "here", settings())
    assert calls == ["head:6379"] and content(tmp_path / "ray") == content(tmp_path / "here")


def test_no_cluster_at_the_address_is_told(task, tmp_path, monkeypatch):
    def init(address, **_):
        raise ConnectionError("nobody there")

    fake = ModuleType("ray")
    fake.init = init
    monkeypatch.setitem(sys.modules, "ray", fake)
    path = corpus(tmp_path, "pool.jsonl", 2)
    with pytest.raises(StentorError, match="no Ray cluster answers there: nobody there"):
        mine.mine(job(path), tmp_path / "out", settings(), lambda given: shards.on_ray(given, "head:6379"))


def test_a_labelling_teams_journey(task, tmp_path, capsys):
    path, labelled = corpus(tmp_path, "pool.jsonl", 14, text=SECRET), corpus(tmp_path / "l", "l.jsonl", 12, text="open")
    (tmp_path / "l/audio/002.wav").write_bytes(b"not audio")
    (tmp_path / "audio/003.wav").write_bytes(b"not audio")
    soundfile.write(tmp_path / "audio/004.wav", np.zeros(round(1.0 * RATE)), RATE)
    words = ["mine", "run", str(path), "--hours", "0.001", "--device", "cpu", "-o", str(tmp_path / "out")]
    assert cli.main([*words, "--labelled", str(labelled), "--drawn", "0.4", "--top", "2"]) == 0
    told = capsys.readouterr()
    assert "of 13 utterances chosen, 0.001 h" in told.out and "1 (0.000 h) cannot be transcribed: left out" in told.out
    assert "1 of the pool could not be used, e.g. u003" in told.err
    assert "1 of the labelled set could not be used, e.g. u002" in told.err
    assert json.loads((tmp_path / "out" / mine.SUMMARY).read_text())["pool"]["unusable"] == 1
    reasons = [json.loads(line) for line in (tmp_path / "out/quarantine.jsonl").read_text().splitlines()]
    assert {row["where"]: row["reason"] for row in reasons}["u004"] == "cannot be transcribed: silence"
    page = (tmp_path / "out/report.html").read_text()
    assert page.count("<audio controls") == 2 and "data:audio/flac;base64," in page and SECRET not in page
    rows = manifest.load(tmp_path / "out" / mine.SELECTED)
    assert {row.custom["mining"]["ranker"] for row in rows} == {"mil", "random"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--hours", "1", "--ranker", "mil"], "learns from a labelled set"),
        (["--hours", "1", "--ranker", "mill"], "Did you mean 'mil'"),
        (["--hours", "0"], "more than 0"),
        (["--hours", "1", "--drawn", "2"], "between 0 and 1"),
        (["--hours", "1", "--ray", "head:1"], "stentor-asr[ray]"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(task, tmp_path, capsys, monkeypatch, words, told):
    monkeypatch.setitem(sys.modules, "ray", None)
    path = corpus(tmp_path, "pool.jsonl", 2)
    assert cli.main(["mine", "run", str(path), "-o", str(tmp_path / "out"), *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("cls", "sections"), [(CTCTask, CTC), (SpeechLMTask, SPEECH_LM)], ids=["ctc", "speech-lm"])
def test_bags_are_what_the_recogniser_heard(cls, sections):
    heard = task_of(cls, sections)
    waves = [0.1 * torch.randn(round(s * RATE), generator=torch.Generator().manual_seed(3)) for s in (1.0, 0.5)]
    clips = [pool.Clip(f"c{i}", "/none.wav", len(wave) / RATE, RATE) for i, wave in enumerate(waves)]
    together = bags.listen(heard, clips, waves)
    lengths = torch.tensor([len(wave) for wave in waves])
    padded = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    batch = {"ids": ["", ""], "texts": ["", ""], "audio": padded, "audio_lengths": lengths}
    assert [bag.hypothesis for bag in together] == heard.predict(batch)
    for bag, clip, wave in zip(together, clips, waves, strict=True):
        (alone,) = bags.listen(heard, [clip], [wave])
        torch.testing.assert_close(alone.posteriors, bag.posteriors, atol=1e-4, rtol=1e-3)
        assert len(bag.frames) == len(bag.posteriors) == len(bag.times) > 0
        assert 0 < bag.confidence <= 1 and bag.entropy > 0
        known = bag.times[~bag.times.isnan()]
        assert ((known >= 0) & (known <= bag.seconds + 1e-3)).all()


def test_a_task_that_shows_nothing_is_refused():
    class Deaf(torch.nn.Linear):
        pass

    clip = pool.Clip("a", "/a.wav", 1.0, RATE)
    with pytest.raises(StentorError, match="its task, Deaf, does not show what it heard"):
        bags.listen(Deaf(1, 1), [clip], [torch.zeros(RATE)])


def test_field_commands_keep_test_voices_and_garbage_apart(tmp_path):
    takes = list(FieldCommands(None, tmp_path, labelled=300, pool=900, test=300).takes())
    voices = {split: {take.voice for take in takes if take.split == split} for split in ("labelled", "pool", "test")}
    texts = {split: {take.text for take in takes if take.split == split} for split in voices}
    assert not voices["test"] & (voices["pool"] | voices["labelled"])
    assert not texts["test"] & (texts["pool"] | texts["labelled"])
    hard = sum(take.condition != "easy" for take in takes) / len(takes)
    garbage = [take for take in takes if take.garbage]
    assert 0.1 < hard < 0.2 and 0.03 < len(garbage) / 900 < 0.1 and {take.split for take in garbage} == {"pool"}
    with pytest.raises(StentorError, match="at most 1"):
        FieldCommands(None, tmp_path, hard=0.7, garbage=0.5)
