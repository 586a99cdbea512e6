"""A task is told what share of the budget is spent with a step, in a run that begins and in one that goes on."""

from contextlib import suppress

import toy

from stentor.train import fit, resume


def test_a_task_knows_the_share_of_the_budget_that_is_spent(tmp_path, monkeypatch):
    told, stop = [], [2]
    trained = toy.ToyTask.training_loss

    def training_loss(task, batch):
        told.append(task.spent)
        if len(told) == stop[0]:
            raise KeyboardInterrupt
        return trained(task, batch)

    monkeypatch.setattr(toy.ToyTask, "training_loss", training_loss)
    recipe = toy.recipe(toy.corpus(tmp_path), steps=4, checkpoint_every=1, valid_every=0)
    with suppress(KeyboardInterrupt, SystemExit):
        fit(recipe, tmp_path / "run", progress=False)
    assert told == [0.25, 0.5]
    stop[0] = 0
    resume(tmp_path / "run", progress=False)
    assert told == [0.25, 0.5, 0.5, 0.75, 1.0]
