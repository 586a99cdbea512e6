"""One line of a manifest: a lhotse cut as plain data, checked, to an `Utterance` and back.

A row is data and stays data: sources other than files (``command``, ``url``, ``memory``), stored arrays and features,
and transforms are refused, and a relative path may not leave the manifest's folder.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from stentor.data.jsonl import BadRow
from stentor.data.utterance import Utterance
from stentor.errors import near_match

TOLERANCE = 0.1
"""How far (s) a stretch may reach past the end of its file before it counts as wrong; compressed formats round."""
_CUT = frozenset({"id", "start", "duration", "channel", "supervisions", "recording", "custom", "type", "features"})
_RECORDING = frozenset({"id", "sources", "sampling_rate", "num_samples", "duration", "channel_ids", "transforms"})
_LABELS = {"text", "language", "speaker", "gender", "custom", "alignment"}
_SUPERVISION = frozenset({"id", "recording_id", "start", "duration", "channel"} | _LABELS)


def parse(row: Any, folder: str) -> Utterance:
    """The utterance of a decoded row; relative paths of audio, its own and `prompt.audio`, count from `folder`.

    Raises:
        BadRow: with the reason, when the row cannot be used.
    """
    _check_cut(row)
    if "recording" not in row:
        return _text_alone(row, folder)
    recording = row["recording"]
    rate, frames = _integer(recording, "sampling_rate"), _integer(recording, "num_samples")
    start, duration = _stretch(row, recording, rate, frames)
    audio, channels = _source(recording, folder), _channels(recording)
    told, custom = _told(row, folder)
    return Utterance(
        id=_label(row.get("id"), "id", needed=True) or "",
        audio=audio,
        duration=duration,
        sample_rate=rate,
        start=start,
        text=_text(told.get("text")),
        speaker=_label(told.get("speaker"), "speaker"),
        language=_label(told.get("language"), "language"),
        frames=frames,
        channels=len(channels),
        channel=_channel(row.get("channel", 0), channels),
        custom=custom,
    )


def _text_alone(row: Mapping[str, Any], folder: str) -> Utterance:
    """The utterance of a cut that has no recording: its duration is the time that the text takes to say."""
    told, custom = _told(row, folder)
    name, duration, text = _label(row.get("id"), "id", needed=True), _number(row, "duration"), _text(told.get("text"))
    if duration <= 0:
        raise BadRow(f"wrong duration: it lasts {duration:g} s")
    language = _label(told.get("language"), "language")
    return Utterance(name or "", "", duration, 0, text=text, language=language, custom=custom)


def build(utterance: Utterance, folder: str) -> dict[str, Any]:
    """The row of an utterance; audio below `folder` gets a relative path, so that the folder can be moved."""
    every = list(range(utterance.channels))
    mono = utterance.channels == 1 or utterance.channel is not None
    channel: int | list[int] = (utterance.channel or 0) if mono else every
    custom = _with_prompt(utterance.custom, lambda path: _relative(path, folder) if os.path.isabs(path) else path)
    told = {"id": utterance.id, "recording_id": utterance.id, "start": 0.0, "duration": utterance.duration}
    told |= {"channel": channel, "text": utterance.text, "language": utterance.language, "speaker": utterance.speaker}
    told |= {key: custom.pop(key) for key in ("gender", "alignment") if key in custom}
    row: dict[str, Any] = {"id": utterance.id, "start": utterance.start, "duration": utterance.duration}
    row |= {"channel": channel, "supervisions": [{key: value for key, value in told.items() if value is not None}]}
    row |= {"custom": custom} if custom else {}
    if not utterance.audio:
        return row | {"type": "MonoCut"}
    recording = {
        "id": utterance.id,
        "sources": [{"type": "file", "channels": every, "source": _relative(utterance.audio, folder)}],
        "sampling_rate": utterance.sample_rate,
        "num_samples": utterance.frames,
        "duration": utterance.frames / utterance.sample_rate,
        "channel_ids": every,
    }
    return row | {"recording": recording, "type": "MonoCut" if mono else "MultiCut"}


def _check_cut(row: Any) -> None:
    if not isinstance(row, dict):
        raise BadRow("the row is not a JSON object")
    if "recording" not in row and row.get("type") == "MonoCut" and _has_text(row):
        _known(row, _CUT, "")
        return
    if not isinstance(row.get("recording"), dict):
        hint = "; a table of audio and text is imported with: stentor prepare table FILE -o FOLDER"
        raise BadRow("there is no recording" + hint * ("audio" in row or "audio_filepath" in row))
    if row.get("type") not in ("MonoCut", "MultiCut"):
        raise BadRow(f"cuts of type {row.get('type')!r} are not used, only MonoCut and MultiCut")
    _known(row, _CUT, "")
    _known(row["recording"], _RECORDING, "recording.")
    if row.get("features") is not None:
        raise BadRow("stored features are refused, as a manifest may not say how to read arrays; leave audio only")
    if row["recording"].get("transforms"):
        raise BadRow("recording.transforms are not applied here; save the changed audio as a file")


def _has_text(row: Mapping[str, Any]) -> bool:
    """Whether a cut has one supervision with text: such a cut needs no recording."""
    told = row.get("supervisions")
    return isinstance(told, list) and len(told) == 1 and isinstance(told[0], dict) and bool(told[0].get("text"))


def _known(given: Mapping[str, Any], allowed: frozenset[str], prefix: str) -> None:
    unknown = given.keys() - allowed
    if unknown:
        name = min(unknown)
        near = near_match(name, allowed)
        raise BadRow(f"unknown field: {prefix}{name[:60]}" + (f", did you mean '{near}'?" if near else ""))


def _stretch(row: Mapping[str, Any], recording: Mapping[str, Any], rate: int, frames: int) -> tuple[float, float]:
    start, duration = _number(row, "start", 0.0), _number(row, "duration")
    length = frames / rate
    if duration <= 0 or start < 0:
        raise BadRow(f"wrong duration: it starts at {start:g} s and lasts {duration:g} s")
    if abs(_number(recording, "duration", length) - length) > TOLERANCE:
        raise BadRow(f"wrong duration: {recording['duration']:g} s is declared for {frames} samples at {rate} Hz")
    if start >= length or start + duration > length + TOLERANCE:
        raise BadRow(f"wrong duration: it ends at {start + duration:.2f} s but the file lasts {length:.2f} s")
    return start, min(duration, length - start)


def _told(row: Mapping[str, Any], folder: str) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The single supervision, and the custom fields of cut and supervision together."""
    supervisions = row.get("supervisions") or []
    if not isinstance(supervisions, list) or not all(isinstance(one, dict) for one in supervisions):
        raise BadRow("supervisions must be a list of objects")
    if len(supervisions) > 1:
        hint = "split the cut with: stentor prepare lhotse FILE -o FOLDER"
        raise BadRow(f"more than one supervision: {len(supervisions)}; {hint}")
    custom: dict[str, Any] = {}
    told: Mapping[str, Any] = {}
    if supervisions:
        told = supervisions[0]
        _known(told, _SUPERVISION, "supervision.")
        custom.update({key: told[key] for key in ("gender", "alignment") if told.get(key)})
        _merge(custom, told.get("custom"))
    _merge(custom, row.get("custom"))
    return told, _with_prompt(custom, lambda path: _absolute(path, folder))


def _with_prompt(custom: Mapping[str, Any], place: Callable[[str], str]) -> dict[str, Any]:
    """The custom fields, the audio of an example of the voice (``prompt: {audio, ...}``) put in its place."""
    told = custom.get("prompt")
    if not isinstance(told, Mapping) or not isinstance(told.get("audio"), str):
        return dict(custom)
    return {**custom, "prompt": {**told, "audio": place(told["audio"])}}


def _merge(custom: dict[str, Any], more: Any) -> None:
    if more is None:
        return
    if not isinstance(more, dict):
        raise BadRow("custom must be an object")
    for key, value in more.items():
        if isinstance(value, dict) and ("storage_type" in value or "sources" in value):
            raise BadRow(f"a stored array or recording is refused: custom.{key[:60]}")
    custom.update(more)


def _source(recording: Mapping[str, Any], folder: str) -> str:
    sources = recording.get("sources")
    if not isinstance(sources, list) or len(sources) != 1 or not isinstance(sources[0], dict):
        raise BadRow("recording.sources must be a list of one file")
    kind, path = sources[0].get("type"), sources[0].get("source")
    if kind != "file":
        raise BadRow(f"an audio source must be a file: type {kind!r} is refused, a manifest runs and fetches nothing")
    return _absolute(path, folder)


def _absolute(path: Any, folder: str) -> str:
    if not isinstance(path, str) or not path or "\0" in path or not _encodable(path):
        raise BadRow("the path of the audio is not a path")
    if os.path.isabs(path):
        return path
    normal = os.path.normpath(path)
    if normal == ".." or normal.startswith("../"):
        raise BadRow(f"a relative path may not leave the manifest's folder: {path!r}; write an absolute one")
    return os.path.join(folder, normal)


def _relative(audio: str, folder: str) -> str:
    path = os.path.normpath(os.path.abspath(audio))
    return os.path.relpath(path, folder) if path.startswith(folder.rstrip(os.sep) + os.sep) else path


def _channels(recording: Mapping[str, Any]) -> list[int]:
    channels = recording.get("channel_ids") or recording["sources"][0].get("channels") or [0]
    if not isinstance(channels, list) or channels != list(range(len(channels))):
        raise BadRow("recording.channel_ids must be 0, 1, 2 ...")
    return channels


def _channel(channel: Any, channels: list[int]) -> int | None:
    if isinstance(channel, list) and len(channel) == 1:
        channel = channel[0]
    if channel == channels or (channel == 0 and len(channels) == 1):
        return None
    if isinstance(channel, bool) or not isinstance(channel, int) or channel not in channels:
        raise BadRow(f"channel must be one of {channels} or all of them")
    return channel


def _text(text: Any) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str) or not _encodable(text):
        raise BadRow("the text is not text")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _label(label: Any, name: str, needed: bool = False) -> str | None:
    if label is None and not needed:
        return None
    if not isinstance(label, str) or not label or not label.isprintable():
        raise BadRow(f"{name} must be a word or name")
    return label if label.isascii() else unicodedata.normalize("NFC", label)


def _encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(given: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise BadRow(f"{name} must be a number of seconds")
    return float(value)


def _finite(value: int | float) -> bool:
    return math.isfinite(value) if isinstance(value, float) else abs(value) < 1 << 62


def _integer(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 62:
        raise BadRow(f"recording.{name} must be a whole number above 0")
    return value
