"""Real-time factor of transcribing many clips: ours, faster-whisper (fp32) and transformers' pipeline, same weights.

All are greedy and hear every clip in a window of 30 s; ours and the pipeline take 16 clips at a time, faster-whisper
comes both one clip after the other and as its batched pipeline. One thread, processor time, contestants interleaved
group by group of clips. Targets: at least 2x the pipeline, at most 1.3x the processor time of
the better faster-whisper. Run with ``python benchmarks/bulk_transcription.py [--clips FOLDER]`` on a folder that has a
``manifest.jsonl`` of audio and text; needs faster-whisper.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch

from stentor.data import audio
from stentor.model.weights import resolve
from stentor.plugins import registry

WEIGHTS, RATE, WINDOW, GROUP = "openai/whisper-tiny.en", 16000, 480000, 16
CLIPS = Path(__file__).parents[1] / "../shared/data/librispeech_mini"
FASTER_THAN_PIPELINE, OF_FASTER_WHISPER = 2.0, 1.3
GREEDY = {"language": "en", "beam_size": 1, "temperature": [0.0], "without_timestamps": True}
Contestant = Callable[[list[np.ndarray]], list[str]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, default=CLIPS)
    folder = parser.parse_args().clips
    torch.set_num_threads(1)
    try:
        contestants = {"ours": ours(), "pipeline": pipeline(), **faster_whisper()}
    except ImportError as cause:
        print(f"faster-whisper is needed for the comparison ({cause}): pip install faster-whisper", file=sys.stderr)
        return 2
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    clips = [audio.read(folder / row["audio"], RATE) for row in rows if row.get("text")]
    clips.sort(key=len)
    seconds, texts = dict.fromkeys(contestants, 0.0), {name: list[str]() for name in contestants}
    for first in range(0, len(clips), GROUP):
        for name, transcribe in contestants.items():
            began = time.process_time()
            texts[name] += transcribe(clips[first : first + GROUP])
            seconds[name] += time.process_time() - began
    length = sum(map(len, clips)) / RATE
    peer = min(value for name, value in seconds.items() if name.startswith("faster-whisper"))
    result = {
        "benchmark": "bulk_transcription",
        "clips": len(clips),
        "audio_seconds": round(length, 1),
        "real_time_factor": {name: round(value / length, 4) for name, value in seconds.items()},
        "same_text_as_ours": {name: sum(map(_same, texts["ours"], found)) for name, found in texts.items()},
        "speed_over_pipeline": round(seconds["pipeline"] / seconds["ours"], 2),
        "time_over_faster_whisper": round(seconds["ours"] / peer, 2),
        "targets": {"speed_over_pipeline": FASTER_THAN_PIPELINE, "time_over_faster_whisper": OF_FASTER_WHISPER},
    }
    result["met"] = bool(result["speed_over_pipeline"] >= FASTER_THAN_PIPELINE
                         and result["time_over_faster_whisper"] <= OF_FASTER_WHISPER)  # fmt: skip
    print(json.dumps(result))
    return 0


def ours() -> Contestant:
    recogniser = registry().build("recogniser", "whisper", weights=WEIGHTS, timestamps=False, device="cpu")
    recogniser.load_pretrained()
    return lambda clips: [" ".join(part.text for part in one.segments) for one in recogniser.recognise(clips)]


def pipeline() -> Contestant:
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers import pipeline as build
    from transformers.models.whisper import WhisperTokenizerFast

    from stentor_asr.whisper.sizes import config_of

    checkpoint = resolve(WEIGHTS).checkpoint
    told = checkpoint.json("generation_config.json") or {}
    state = checkpoint.state_dict()
    state.setdefault("proj_out.weight", state["model.decoder.embed_tokens.weight"])
    model = WhisperForConditionalGeneration(WhisperConfig(**config_of(WEIGHTS))).eval()
    model.load_state_dict(state)
    end = "<|endoftext|>"
    tokenizer = WhisperTokenizerFast(
        tokenizer_file=str(checkpoint.file("tokenizer.json")),
        pad_token=end,
        eos_token=end,
        bos_token=end,
        unk_token=end,
    )
    start, no_times, end_id = tokenizer.convert_tokens_to_ids(["<|startoftranscript|>", "<|notimestamps|>", end])
    model.generation_config.update(
        max_length=448,
        decoder_start_token_id=start,
        no_timestamps_token_id=no_times,
        pad_token_id=end_id,
        eos_token_id=end_id,
        suppress_tokens=told["suppress_tokens"],
        begin_suppress_tokens=told["begin_suppress_tokens"],
    )
    work = build("automatic-speech-recognition", model=model, tokenizer=tokenizer,
                 feature_extractor=WhisperFeatureExtractor(), batch_size=GROUP, device="cpu")  # fmt: skip

    def transcribe(clips: list[np.ndarray]) -> list[str]:
        found = work([{"raw": clip, "sampling_rate": RATE} for clip in clips])
        return [re.sub(r"<\|[^|]*\|>", "", one["text"]) for one in found]

    return transcribe


def faster_whisper() -> dict[str, Contestant]:
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    tokenizer = resolve(WEIGHTS).checkpoint.file("tokenizer.json")
    assert tokenizer is not None
    model = WhisperModel(str(tokenizer.parent), device="cpu", compute_type="float32", cpu_threads=1)
    batched = BatchedInferencePipeline(model)

    def single(clips: list[np.ndarray]) -> list[str]:
        return [_joined(model.transcribe(clip, condition_on_previous_text=False, **GREEDY)[0]) for clip in clips]

    def together(clips: list[np.ndarray]) -> list[str]:
        whole = np.concatenate([np.pad(clip, (0, WINDOW - len(clip))) for clip in clips])
        times = [{"start": 30.0 * index, "end": 30.0 * index + len(clip) / RATE} for index, clip in enumerate(clips)]
        found = batched.transcribe(whole, batch_size=GROUP, vad_filter=False, clip_timestamps=times, **GREEDY)[0]
        said: list[list[Any]] = [[] for _ in clips]
        for segment in found:
            said[int(segment.start // 30)].append(segment)
        return [_joined(segments) for segments in said]

    return {"faster-whisper": single, "faster-whisper-batched": together}


def _joined(segments: Any) -> str:
    return " ".join(segment.text.strip() for segment in segments)


def _same(left: str, right: str) -> bool:
    return left.split() == right.split()


if __name__ == "__main__":
    sys.exit(main())
