"""Evaluation tells how long the first samples of a streamed utterance are waited for."""

import tiny_lm


def test_one_row_of_every_batch_is_timed_and_the_count_begins_anew():
    task = tiny_lm.task(tiny_lm.ALOUD, slowest=60.0)
    batch = {**tiny_lm.batch(task), "texts": ["stop", "stop", "stop"]}
    assert task.statistics() is None
    for _ in range(2):
        assert [len(wave) > 0 for wave in task.synthesise(batch)] == [True] * 3
    waited = task.statistics()["first_packet_seconds"]
    assert len(waited) == 2 and min(waited) > 0
    assert task.statistics() is None


def test_training_times_nothing():
    task = tiny_lm.task(tiny_lm.ALOUD, slowest=60.0).train()
    task.synthesise({**tiny_lm.batch(task), "texts": ["stop", "stop", "stop"]})
    assert task.statistics() is None
