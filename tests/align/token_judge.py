"""Scores what voices said by reward models of their tokens, tells what was imported. Run by `test_token_judge`."""

import json
import sys
from pathlib import Path

import tiny_voice
import torch

from stentor.plugins import registry
from stentor.train.assembly import build
from stentor_align import rollout
from stentor_align.tasks import experience


def sounding():
    """Modules that make sound of codes."""
    return sorted(name for name in sys.modules if name.startswith(("stentor_tts.vocoders", "stentor_tts.flow")))


def silent(*_):
    raise AssertionError("somebody wants to hear it")


def judged(run):
    """What a reward model gives for responses of the voice that it began as, and what that took."""
    reward = build("reward", {"name": "bradley-terry", "run": str(run)})
    reward.load_pretrained()
    voice, loaded = reward._model.policy, sounding()
    type(voice).aloud = silent
    batch = {"ids": ["a", "b"], "texts": tiny_voice.TEXTS[:2], "speakers": ["ada"] * 2, "custom": [{}, {}]}
    _, responses, scores = experience.answered(voice, batch, reward, rollout.PLAIN, samples=3, seed=1)
    parts = [part for part in (voice.codec, voice.renderer.acoustic, voice.renderer.vocoder) if part is not None]
    return {
        "scores": scores.total.tolist(),
        "heard": ["audio" in one for one in responses],
        "parts": [part.name for part in parts],
        "built": [part.name for part in parts if part.there],
        "loaded": loaded,
        "imported": sounding(),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = {name: judged(Path(sys.argv[1]) / name) for name in sys.argv[2:]}
    registry().get("vocoder", "griffin-lim").load()
    print(json.dumps({**found, "afterwards": sounding()}))
