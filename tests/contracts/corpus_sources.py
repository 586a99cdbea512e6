"""A small corpus of every format that a built-in corpus reads: three to five tones, with text."""

import gzip
import json

import numpy as np
import soundfile

RATE = 16000
TEXTS = ("turn left", "open the window", "seven boats leave", "call me back", "stop")


def tones(folder, names, count=3, **options):
    """Write `count` tones of half a second; their paths."""
    paths = [folder / names.format(index) for index in range(count)]
    for index, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(np.arange(RATE // 2) * (0.05 + 0.02 * index)), RATE, **options)
    return paths


def folder(place):
    for path, text in zip(tones(place, "a{}.wav"), TEXTS, strict=False):
        path.with_suffix(".txt").write_text(f"{text}\n")
    return place


def table(place):
    rows = [f"{path.name},{text}" for path, text in zip(tones(place, "a{}.wav"), TEXTS, strict=False)]
    (place / "list.csv").write_text("\n".join(["path,text", *rows]) + "\n")
    return place / "list.csv"


def kaldi(place):
    paths = tones(place, "wav/u{}.wav")
    (place / "wav.scp").write_text("".join(f"{path.stem} {path}\n" for path in paths))
    (place / "text").write_text("".join(f"{path.stem} {text}\n" for path, text in zip(paths, TEXTS, strict=False)))
    (place / "utt2spk").write_text("".join(f"{path.stem} anna\n" for path in paths))
    return place


def librispeech(place):
    paths = tones(place, "dev-clean/84/121123/84-121123-000{}.flac")
    lines = [f"{path.stem} {text.upper()}\n" for path, text in zip(paths, TEXTS, strict=False)]
    (paths[0].parent / "84-121123.trans.txt").write_text("".join(lines))
    return place


def ljspeech(place):
    paths = tones(place, "wavs/LJ001-000{}.wav")
    lines = [f"{path.stem}|{text}|{text}\n" for path, text in zip(paths, TEXTS, strict=False)]
    (place / "metadata.csv").write_text("".join(lines))
    return place


def common_voice(place):
    paths = tones(place, "clips/common_voice_en_{}.ogg")
    lines = [f"c{index}\t{path.name}\t{TEXTS[index]}\ten\n" for index, path in enumerate(paths)]
    (place / "train.tsv").write_text("client_id\tpath\tsentence\tlocale\n" + "".join(lines))
    return place


def lhotse(place):
    paths = tones(place, "a{}.wav")
    with gzip.open(place / "cuts_train.jsonl.gz", "wt") as file:
        for path, text in zip(paths, TEXTS, strict=False):
            file.write(json.dumps(cut(path, text)) + "\n")
    return place


def cut(path, text):
    """A cut as lhotse writes it."""
    source = {"type": "file", "channels": [0], "source": str(path)}
    recording = {"id": path.stem, "sources": [source], "sampling_rate": RATE, "num_samples": RATE // 2,
                 "duration": 0.5, "channel_ids": [0]}  # fmt: skip
    told = {"id": path.stem, "recording_id": path.stem, "start": 0.0, "duration": 0.5, "channel": 0, "text": text}
    return {"id": path.stem, "start": 0.0, "duration": 0.5, "channel": 0, "supervisions": [told],
            "recording": recording, "type": "MonoCut"}  # fmt: skip


def huggingface(place):
    paths = tones(place, "a{}.wav")
    rows = [{"file_name": path.name, "text": text} for path, text in zip(paths, TEXTS, strict=False)]
    (place / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place


def asterisk(place):
    tones(place / "usr/share/asterisk/sounds/en_US_f_Allison", "prompt-{}.wav")
    return place


def fillets(place):
    root = place / "usr/share/games/fillets-ng"
    paths = tones(root / "sound/scene/cs", "line-{}.ogg")
    script = root / "script/scene/dialogs_cs.lua"
    script.parent.mkdir(parents=True)
    lines = [
        f'dialogId("{path.stem}", "font_small", "{text}")\ndialogStr("{text}")\n'
        for path, text in zip(paths, TEXTS, strict=False)
    ]
    script.write_text("".join(lines))
    return place


def librivox(place):
    data = place / "usr/share/pocketsphinx/test/data/librivox"
    paths = tones(data, "sense-{}.wav", count=5)
    lines = [f"<s> {text} </s> ({path.stem})\n" for path, text in zip(paths, TEXTS, strict=True)]
    (data / "transcription").write_text("".join(lines))
    return place


_WRITERS = (folder, table, kaldi, librispeech, ljspeech, common_voice, lhotse, huggingface, asterisk, fillets, librivox)
SOURCES = {("corpus", write.__name__.replace("_", "-")): write for write in _WRITERS}
