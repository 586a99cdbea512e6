"""What is watched of a policy that learns from pairs: judge, divergence and drift in validation, learnt from never."""

import pytest
import tiny
import torch

from stentor.errors import StentorError
from stentor.train import fit
from stentor.train.assembly import assemble
from stentor_align import runs
from stentor_align.rollout import SamplingSettings, sample

pytestmark = pytest.mark.usefixtures("one_thread")

BATCH = tiny.batch("abc", "fed", chosen="abc", rejected="cba")
JUDGE = {"name": "format", "pattern": "[a-c]+"}
PROBES = {"probe/empty", "probe/repeated", "probe/longest"}
WATCHED = {"length", "distinct", "divergence", "drift/length", "drift/distinct"} | PROBES


def tuned(parent, **options):
    task = assemble({"task": {"name": "dpo", "run": str(parent), **options}}, texts=[])
    task.load_pretrained()
    return task


def disturbed(task):
    """The task with a policy that has moved."""
    with torch.no_grad():
        for parameter in task.policy.parameters():
            torch.manual_seed(parameter.numel())
            parameter.add_(0.2 * torch.randn_like(parameter))
    return task.eval()


@pytest.mark.parametrize("options", [{}, {"loss": "simpo"}, {"reference": "adapters-off"}], ids=str)
def test_every_run_reports_them_in_validation_and_is_not_changed_by_it(parent, tmp_path, options):
    train, kept = tiny.manifest(tmp_path, tiny.preferred()), {}
    lora = {"lora": {"rank": 2}} if "reference" in options else {}
    for watched in (True, False):
        task = {"name": "dpo", "run": str(parent), **options, "judge": JUDGE if watched else None}
        valid = {"valid": str(train)} if watched else {}
        folder = tmp_path / f"run-{watched}"
        assert fit(tiny.recipe(task, train, steps=4, valid_every=2, data=valid, **lora), folder, progress=False)
        kept[watched] = tiny.lines(folder)
    told = kept[True][-1]
    wanted = WATCHED | {"judge", "judge/legal", "judge/dropped", "accuracy"}
    assert {f"valid_{name}" for name in wanted} <= set(told)
    assert not WATCHED & set(told), "training samples nothing"
    assert [line["loss"] for line in kept[True]] == [line["loss"] for line in kept[False]]


@pytest.mark.parametrize("options", [{}, {"loss": "simpo"}], ids=str)
def test_nothing_has_strayed_at_the_beginning_and_something_later(parent, options):
    task = tuned(parent, **options).eval()
    before = task.training_loss(BATCH)
    assert abs(before.parts["divergence"]) < 1e-4
    assert before.parts["drift/length"] == 1 and before.parts["drift/distinct"] == 0
    assert before.counts["divergence"] == before.counts["length"] == 4 and before.counts["distinct"] == 2
    later = disturbed(task).training_loss(BATCH)
    assert later.parts["divergence"] > 0.1 and later.parts["drift/length"] != 1
    task.train()
    assert task._parent == [] and not WATCHED & set(task.training_loss(BATCH).parts)


def test_drift_is_against_the_samples_of_what_the_policy_began_as(parent):
    task = disturbed(tuned(parent, samples=3, sampling={"temperature": 1.5}))
    told = task.training_loss(BATCH).parts
    origin = runs.trained(str(parent))[0].eval()
    settings = SamplingSettings(temperature=1.5)
    own, theirs = (sample(one, one.ask(BATCH), settings, samples=3, seed=0) for one in (task.policy, origin))
    ratio = sum(map(len, own.tokens)) / sum(map(len, theirs.tokens))
    assert told["drift/length"] == pytest.approx(ratio) and told["length"] == sum(map(len, own.tokens)) / 6


def test_tricks_that_pairs_reward_are_found_out(parent):
    """Whoever is taught to say nothing has come to find that likelier."""
    task = tuned(parent)
    assert all(abs(task.eval().training_loss(BATCH).parts[name]) < 1e-4 for name in PROBES)
    end = {"tokens": [task.policy.vocabulary.control("end")]}
    pairs = tiny.batch("abc", "fed", chosen=end, rejected="abcabc")
    optimiser = torch.optim.AdamW(task.train().policy.parameters(), lr=3e-3)
    for _ in range(15):
        optimiser.zero_grad()
        task.training_loss(pairs).value.backward()
        optimiser.step()
    told = task.eval().training_loss(BATCH)
    assert told.parts["probe/empty"] > 0.5 and told.counts["probe/empty"] == 2
    assert told.parts["drift/length"] < 1


def test_a_judge_hears_what_the_policy_says_and_not_the_pairs(parent):
    task = disturbed(tuned(parent, judge={"name": "format", "pattern": ".{3,}"}))
    made = sample(task.policy, task.policy.ask(BATCH), SamplingSettings(), samples=2, seed=0)
    texts = [one["text"] for one in task.policy.responses(task.policy.ask(BATCH), made.owners, made.tokens)]
    told = task.training_loss(BATCH).parts
    assert told["judge"] == sum(len(text) >= 3 for text in texts) / 4 and told["judge/dropped"] == 0
    assert 0 < told["judge"] < 1


def test_a_judge_is_loaded_to_judge_and_missed_before_there_is_a_run(parent, tmp_path):
    """Whoever loads the tuned policy needs no judge."""
    judge = {"name": "bradley-terry", "run": str(tmp_path / "no-such-run")}
    train = tiny.manifest(tmp_path, tiny.preferred())
    with pytest.raises(StentorError, match="holds no run"):
        fit(tiny.recipe({"name": "dpo", "run": str(parent), "judge": judge}, train), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    task = tuned(parent, judge=judge)
    assert task.predict(BATCH)
    with pytest.raises(StentorError, match="holds no run"):
        task.eval().training_loss(BATCH)


def test_rows_without_pairs_are_prompts_all_the_same(parent):
    task = tuned(parent).eval()
    found = task.training_loss(tiny.batch("abc", "fed"))
    assert found.parts["dropped"] == 2 and found.counts["length"] == 4 and set(found.parts) >= WATCHED
    assert found.counts["loss"] == 0 and "accuracy" not in found.parts, "none was measured, and none is averaged"


def test_it_can_be_left_out_but_not_with_a_judge(parent):
    task = tuned(parent, samples=0).eval()
    assert not WATCHED & set(task.training_loss(BATCH).parts)
    with pytest.raises(StentorError, match=r"task\.samples: a judge needs something to judge"):
        tuned(parent, samples=0, judge=JUDGE)
    with pytest.raises(StentorError, match=r"task\.samples"):
        tuned(parent, samples=-1)
