"""Codes go through the cache whole, whatever their size and however they are stored, and once for all tasks."""

import tiny_lm
import torch

from stentor.data.cache import FrameCache
from stentor.interfaces.codec import Codebook, CodecSpec
from stentor_tts.flow.dit import FlowDiT
from stentor_tts.flow.task import FlowTask
from stentor_tts.lm.later import Later
from stentor_tts.tokenizer.coding import codes_of, frames, grouped, ungrouped
from stentor_tts.tokenizer.dual import DualCodec

SPEC = CodecSpec(16000, (Codebook("linguistic", 6561, 50 / 3), Codebook("semantic", 70000, 25.0)), (2, 3), 1920)


def test_codes_survive_half_precision():
    codes = (torch.tensor([0, 6560, 2049, 1023]), torch.tensor([69999, 1, 2047, 1024, 4097, 65535]))
    kept = frames(SPEC, codes).half().float()
    (found,) = codes_of(SPEC, kept[None], [2])
    assert all(torch.equal(*pair) for pair in zip(found, codes, strict=True))
    assert all(torch.equal(*pair) for pair in zip(ungrouped(SPEC, grouped(SPEC, codes)), codes, strict=True))


def test_an_unfinished_group_is_left_out():
    codes = (torch.arange(5), torch.arange(6))
    assert grouped(SPEC, codes).tolist() == [[0, 1, 0, 1, 2], [2, 3, 3, 4, 5]]


def test_every_task_that_trains_on_a_codec_keeps_the_same_frames(tmp_path):
    def folder(seed):
        torch.manual_seed(seed)
        codec = DualCodec(linguistic=8, semantic=8)
        speaking, flow = Later("codec", {"name": "dual"}), FlowDiT(codec.declared, dim=16, layers=1, heads=2, hidden=16)
        speaking._built = codec
        lm = tiny_lm.task()
        lm.codec = speaking
        found = {FrameCache(tmp_path, task.cached_encoder(), {}).folder for task in (lm, FlowTask(codec, flow))}
        assert len(found) == 1
        return found.pop()

    assert folder(0) == folder(0) != folder(1)
