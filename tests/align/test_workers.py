"""Rollout and reward in processes of their own: the same results, nothing lost when one of them hangs or dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import warnings
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
import tiny
import torch
from hearing import Sounding
from safetensors.torch import load_file

from stentor.errors import StentorError
from stentor.interfaces.policy import LazyResponse
from stentor.plugins import registry
from stentor.train import fit
from stentor.train.assembly import assemble
from stentor_align.rollout import PLAIN
from stentor_align.tasks import experience
from stentor_align.workers.coming import Coming
from stentor_align.workers.process import Process, WorkerDied
from stentor_align.workers.sampling import SamplingProcess
from stentor_align.workers.scoring import ScoringProcesses, Wanted, _sent, _shares
from stentor_align.workers.settings import WorkerSettings

pytestmark = pytest.mark.usefixtures("one_thread")

REWARD = {"name": "format", "pattern": "[a-c]*"}
HANGS = {"name": "format", "pattern": "(a+)+b"}
"""Takes longer than anyone waits for many an a, holding the interpreter's lock: no thread could give it up."""
BATCH = tiny.batch("abc", "fed")


def trained(parent, folder, workers, **options):
    train = tiny.manifest(folder.parent, [(text, {}) for text in ("abc", "fed", "cab", "bed")])
    task = {"run": str(parent), "reward": REWARD, "samples": 4, "workers": workers, **options}
    recipe = tiny.recipe(task, train, steps=4, checkpoint_every=2, valid_every=2, data={"valid": str(train)})
    assert fit(recipe, folder, progress=False)
    return tiny.lines(folder)


@pytest.mark.parametrize("options", [{"name": "grpo", "kl": 0.1}, {"name": "ppo", "warmup": 1, "iterations": 2}])
def test_a_run_is_the_same_whoever_samples_and_scores(parent, tmp_path, options):
    alone = trained(parent, tmp_path / "alone", {}, **options)
    apart = trained(parent, tmp_path / "apart", {"rollout": True, "reward": 2}, **options)
    for one, other in zip(alone, apart, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            if name != "elapsed" and "per_second" not in name:
                assert other[name] == value, name
    own, others = (load_file(sorted((tmp_path / name).rglob("*.safetensors"))[-1]) for name in ("alone", "apart"))
    assert own.keys() == others.keys() and all(torch.equal(own[name], others[name]) for name in own)


def test_a_process_that_hangs_is_ended_and_replaced():
    reward = ScoringProcesses(HANGS, WorkerSettings(reward=2), timeout=1.0)
    prompts, texts = [{}] * 4, ["ab", "b", "a" * 60, "aab"]
    reward.score(prompts[:2], [{"text": "ab"}] * 2)  # so that what it takes to start is no part of what is measured
    began = time.monotonic()
    with pytest.warns(UserWarning, match="more than 1 s; 2 samples are left out"):
        found = reward.score(prompts, [{"text": text} for text in texts])
    assert time.monotonic() - began < 10
    assert found.total[:2].tolist() == [1, 0] and found.total[2:].isnan().all()
    assert reward.score(prompts, [{"text": "ab"}] * 4).total.tolist() == [1] * 4
    reward.close()


def test_a_process_that_dies_costs_its_share_and_no_more():
    reward = ScoringProcesses(REWARD, WorkerSettings(reward=2))
    responses = [{"text": "a"}, {"text": "x"}]
    assert reward.score([{}] * 2, responses).total.tolist() == [1, 0]
    assert reward.score([], []).total.shape == (0,)
    child = reward._processes[1]._child
    os.kill(child.pid, signal.SIGSTOP)  # it cannot have answered before it is killed
    begin = reward._begin

    def begun(place, *given):
        told = begin(place, *given)
        if place == 1:
            os.kill(child.pid, signal.SIGKILL)
        return told

    reward._begin = begun
    with pytest.warns(UserWarning, match="ended from outside"):
        found = reward.score([{}] * 2, responses)
    assert found.total[0] == 1 and found.total[1].isnan()
    reward._begin = begin
    assert reward.score([{}] * 2, responses).total.tolist() == [1, 0]
    reward.close()


def test_what_is_costly_is_made_once_somebody_reads_it():
    made = []
    response = LazyResponse({"text": "a"}, {"audio": lambda: made.append(1) or torch.ones(2)})
    reward = ScoringProcesses(REWARD, WorkerSettings(reward=1))
    assert reward.score([{}], [response]).total.tolist() == [1] and not made
    reward.close()
    hidden = _sent(response, whole=False)
    assert "audio" in hidden and list(hidden) == ["text", "audio"] and len(hidden) == 2
    with pytest.raises(Wanted, match="audio"):
        hidden["audio"]
    lazy = ScoringProcesses({"name": "answer"}, WorkerSettings(reward=1))
    slow = LazyResponse({}, {"text": lambda: made.append(2) or "(yes)"})
    asked = [{"answer": "(yes)"}]
    assert lazy.score(asked, [slow]).total.tolist() == [1] and made == [2]
    assert slow.waiting == () and lazy.score(asked, [slow]).total.tolist() == [1] and made == [2]
    lazy.close()


def test_a_policy_that_samples_apart_follows_the_one_that_learns():
    policy = tiny.policy()
    sampler = SamplingProcess(policy, WorkerSettings(rollout=True))
    for step in range(3):
        sampler.begin(BATCH, PLAIN, samples=2, seed=step)
        answers = sampler.finish()
        own = experience.said(policy, BATCH, PLAIN, samples=2, seed=step)
        assert answers.rollout.tokens == own.rollout.tokens and answers.responses == own.responses
        assert [one["row"]["ids"] for one in answers.asked] == [["row-0"], ["row-1"]]
        assert all(map(torch.equal, answers.rollout.log_probs, own.rollout.log_probs))
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        policy.train()
        policy.eval()
    sampler.close()


def test_ahead_learns_from_responses_one_update_old_with_the_probabilities_they_were_drawn_with(parent):
    section = {"name": "grpo", "run": str(parent), "reward": REWARD, "samples": 4}
    task = assemble({"task": section | {"workers": {"rollout": True, "ahead": True}}}, texts=[])
    task.load_pretrained()
    task.train()
    first = task.training_loss(BATCH)
    assert first.value == 0 and not first.parts
    old = experience.said(task.policy, BATCH, PLAIN, samples=4, seed=None)
    assert task._coming.answers(task.policy).rollout.owners == old.rollout.owners
    with torch.no_grad():
        for parameter in task.policy.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    seen = {}
    learn = task.learn
    task.learn = lambda found, extra: seen.update(found=found) or learn(found, extra)
    told = task.training_loss(tiny.batch("cab", "bed"))
    assert seen["found"].batch["texts"] == ["abc", "fed"] and told.parts["reward"] >= 0
    now = task.scored(task.policy, seen["found"], range(8))[0].log_probs
    assert (now - torch.cat(seen["found"].rollout.log_probs)).abs().max() > 1e-3
    assert not task.on_policy and told.parts["clipped"] > 0
    kept = task.training_state()
    back = Coming.of(kept["coming"])
    assert back.answers(task.policy).rollout.tokens == task._coming.answers(task.policy).rollout.tokens
    assert back.answers(task.policy).responses == task._coming.answers(task.policy).responses
    task._sampler.close()


@pytest.fixture
def sounding(parent, monkeypatch):
    """Makes a tuning task whose policy sounds, rewarded for being loud."""
    found = registry()
    monkeypatch.setattr(found, "_entries", dict(found._entries))
    found.add("reward", "loudness", "hearing:Loudness")

    def make(**workers):
        section = {"name": "grpo", "run": str(parent), "reward": {"name": "loudness"}, "samples": 4, "workers": workers}
        task = assemble({"task": section}, texts=[])
        task.load_pretrained()
        task.policy.__class__ = Sounding
        return task.train()

    return make


def told(task, count):
    """What a task logs of so many batches, none of whose failures is a surprise."""
    torch.manual_seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            task.training_loss(tiny.batch(*given)) for given in [("abc", "fed"), ("cab", "ace"), ("bed", "dad")][:count]
        ]


def test_sound_that_cannot_be_made_costs_its_sample_wherever_it_is_made(sounding):
    alone, apart = sounding(), sounding(rollout=True)
    for one, other in zip(told(alone, 3), told(apart, 3), strict=True):
        assert one.parts == other.parts and one.counts == other.counts
    assert any(0 < loss.parts["dropped"] < 1 for loss in told(alone, 3))
    apart.finished()


def test_sound_is_read_while_the_next_responses_are_on_their_way(sounding):
    task = sounding(rollout=True, ahead=True)
    losses = told(task, 3)
    assert not losses[0].parts and all(loss.parts["reward"] > 0 for loss in losses[1:])
    task.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in ("abc", "ace", "fed"):  # by then its process has forgotten what is still to be scored
            assert "reward" in task.training_loss(tiny.batch(text)).parts
        task.train()
        task._sampler._whole = False
        assert task.training_loss(tiny.batch("ace")).parts["reward"] > 0
    task.finished()


def test_a_process_that_samples_is_replaced_once(parent):
    sampler = SamplingProcess(tiny.policy(), WorkerSettings(rollout=True))
    sampler.begin(BATCH, PLAIN, samples=2, seed=0)
    expected = sampler.finish().rollout.tokens
    for early in (True, False):
        if early:
            os.kill(sampler._process._child.pid, signal.SIGKILL)
            sampler._process._child.join()
            sampler.begin(BATCH, PLAIN, samples=2, seed=0)
        else:
            os.kill(sampler._process._child.pid, signal.SIGSTOP)
            sampler.begin(BATCH, PLAIN, samples=2, seed=0)
            os.kill(sampler._process._child.pid, signal.SIGKILL)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            assert sampler.finish().rollout.tokens == expected
        assert early or any("samples this batch again" in str(one.message) for one in heard)
    sampler._take = lambda: (_ for _ in ()).throw(WorkerDied("process 'rollout' ended"))
    sampler.begin(BATCH, PLAIN, samples=2, seed=0)
    with pytest.warns(UserWarning), pytest.raises(StentorError, match=r"rollout: process 'rollout' ended, twice"):
        sampler.finish()
    sampler.close()


def test_precision_is_that_of_the_process_that_learns():
    policy = tiny.policy()
    sampler = SamplingProcess(policy, WorkerSettings(rollout=True))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sampler.begin(BATCH, PLAIN, samples=2, seed=3)
        own = experience.said(policy, BATCH, PLAIN, samples=2, seed=3)
    found = sampler.finish()
    assert found.rollout.tokens == own.rollout.tokens
    assert all(map(torch.equal, found.rollout.log_probs, own.rollout.log_probs))
    sampler.close()


def test_what_stops_a_run_does_not_reach_its_workers_first():
    resource_tracker._resource_tracker._stop()  # as before the first process of all
    process = Process(WorkerSettings, threads=1, name="kept")
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process._child.pid, number)  # before it has begun to run, and after
        assert process.finish() is None or process.call("__eq__", 1) is not None
        os.kill(process._child.pid, number)
        assert process.call("__eq__", WorkerSettings())
    process.close()
    assert not {signal.SIGINT, signal.SIGTERM} & signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_run_leaves_no_worker_behind(parent, tmp_path):
    trained(parent, tmp_path / "run", {"rollout": True, "reward": 1}, name="raft")
    assert not [one for one in multiprocessing.active_children() if one.name in ("rollout", "reward-0")]


def test_a_process_that_cannot_be_built_is_built_again(tmp_path, monkeypatch):
    found = registry()
    monkeypatch.setattr(found, "_entries", dict(found._entries))
    reward = ScoringProcesses(REWARD, WorkerSettings(reward=1))
    reward.section = {"name": "format", "pattern": 1}  # what no regular expression is
    with pytest.warns(UserWarning, match="1 samples are left out"):
        assert reward.score([{}], [{"text": "a"}]).total.isnan().all()
    reward.section = REWARD
    assert reward.score([{}], [{"text": "a"}]).total.tolist() == [1]
    reward.close()


def test_failures_are_told_in_words():
    process = Process(WorkerSettings, threads=1, name="odd")
    with pytest.raises(AttributeError, match="nothing"):
        process.call("nothing")
    assert process.call("__eq__", WorkerSettings())
    process.close()
    with pytest.raises(WorkerDied, match="'odd' ended"):
        process.call("__eq__", 1)
    with pytest.raises(StentorError, match="rollout_device: it must be a device such as cpu"):
        WorkerSettings(rollout_device="gpu")
    if not torch.cuda.is_available():
        sampler = SamplingProcess(tiny.policy(), WorkerSettings(rollout=True, rollout_device="cuda:7"))
        with pytest.raises(StentorError, match="rollout_device: this machine has no such device"):
            sampler.begin(BATCH, PLAIN, samples=2, seed=0)
        scoring = ScoringProcesses(REWARD, WorkerSettings(reward=1, reward_device="cuda:7"))
        with pytest.raises(StentorError, match="reward_device: this machine has no such device"):
            scoring.load_pretrained()
    failing = Process(WorkerSettings, False, "cpu", True, threads=1, name="wrong")
    with pytest.raises(StentorError, match="ahead: it must be false"):
        failing.finish()


def test_shares_differ_by_one_at_most():
    for count in range(9):
        for processes in (1, 2, 3):
            found = _shares(count, processes)
            assert [place for share in found for place in range(count)[share]] == list(range(count))
            sizes = [share.stop - share.start for share in found]
            assert max(sizes) - min(sizes) <= 1 and len(found) <= processes


def test_workers_end_with_the_process_that_made_them(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(
        "import time\n"
        "from stentor_align.workers.process import Process\n"
        "from stentor_align.workers.settings import WorkerSettings\n"
        "if __name__ == '__main__':\n"
        "    process = Process(WorkerSettings, threads=1, name='left')\n"
        "    process.finish()\n"
        "    print(process._child.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as made:
        child = int(made.stdout.readline())
        made.kill()
    until = time.monotonic() + 20
    while time.monotonic() < until and Path(f"/proc/{child}/cmdline").exists():
        if "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            break
        time.sleep(0.1)
    else:
        assert not Path(f"/proc/{child}").exists(), "a worker outlives the run"
