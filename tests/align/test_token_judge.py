"""A reward model of a voice reads tokens: no vocoder, flow or codec is on its way, even where the voice has them."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_voice
import torch

from stentor.train import made, weights
from stentor.train.assembly import assemble

pytest.importorskip("stentor_tts")
HERE = Path(__file__).parent
SOUND = {"plain": {}, "full": {"acoustic": {"name": "flow-dit"}, "vocoder": {"name": "griffin-lim"}}}


def judge(folder, name):
    """A reward model that nobody trained, of a voice whose recipe has what it speaks with, or not."""
    voice, place = tiny_voice.policy(), folder / f"voice-{name}"
    made.write(place, {**tiny_voice.CONFIG, **SOUND[name]}, voice.state(), weights.tensors(voice), {"run": "none"})
    torch.manual_seed(0)
    config = {"name": "judge", "task": {"name": "reward-model", "run": str(place)}}
    found = assemble(config, texts=())
    found.load_pretrained()
    made.write(folder / name, config, found.state(), weights.tensors(found), {"run": "none"})


def test_a_reward_model_of_a_voice_makes_no_sound(tmp_path):
    """Step-Audio-EditX, arXiv 2511.03601: the reward is computed from tokens, without a waveform."""
    for name in SOUND:
        judge(tmp_path, name)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, str(HERE / "token_judge.py"), str(tmp_path), *SOUND], env=environment,
                          check=False, capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for name in SOUND:
        found = told[name]
        assert len(set(found["scores"])) > 1 and all(map(math.isfinite, found["scores"]))
        assert all(found["heard"]), "there is sound for whoever asks"
        assert found["built"] == [] and found["imported"] == found["loaded"], "scoring brings nothing in"
    assert told["plain"]["imported"] == []
    assert told["full"]["parts"] == ["dual", "flow-dit", "griffin-lim"]
    assert "stentor_tts.vocoders.griffin_lim" in told["afterwards"], "it would have been seen"
