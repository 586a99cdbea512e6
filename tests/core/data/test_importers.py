"""Every importer on a tiny tree of its layout, with the mistakes that people make in it."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from stentor.config import schema
from stentor.data import audio, manifest
from stentor.data.corpora.common_voice import CommonVoice
from stentor.data.corpora.folder import Folder
from stentor.data.corpora.huggingface import HuggingFace
from stentor.data.corpora.kaldi import Kaldi
from stentor.data.corpora.lhotse import Lhotse
from stentor.data.corpora.librispeech import LibriSpeech
from stentor.data.corpora.ljspeech import LJSpeech
from stentor.data.corpora.table import Table
from stentor.data.prepare import PrepareSettings, prepare
from stentor.data.utterance import Utterance
from stentor.errors import StentorError
from stentor.interfaces.corpus import Item, Rejected
from stentor.plugins import registry

IMPORTERS = ["folder", "table", "kaldi", "librispeech", "ljspeech", "common-voice", "lhotse", "huggingface"]
SAMPLES = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)


def clips(folder, *names):
    for name in names:
        audio.write(folder / name, SAMPLES, 16_000)


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def run(corpus):
    """Items by id, and the reasons of the others."""
    found = list(corpus.items())
    good = {one.id: one for one in found if isinstance(one, Item)}
    return good, [f"{one.where} {one.reason}" for one in found if isinstance(one, Rejected)]


def texts(good):
    return {name: item.text for name, item in good.items()}


@pytest.mark.parametrize("name", IMPORTERS)
def test_every_importer_is_registered_and_its_options_can_be_checked(name):
    found = schema.of(registry().get("corpus", name))
    assert [field.name for field in found.wired] == ["source", "workspace"]
    assert all(not field.required and field.doc for field in found.configured)


def test_folder_with_text_beside(tmp_path):
    clips(tmp_path, "ann/x.flac", "bob/y-1.wav", "bob/untold.wav")
    put(tmp_path / "ann/x.txt", "\ufeffhello there\n")
    put(tmp_path / "bob/y-1.txt", "two\nlines")
    put(tmp_path / "bob/orphan.txt", "no audio")
    good, bad = run(Folder(tmp_path, tmp_path, speaker="folder", split="folder", language="en"))
    assert texts(good) == {"ann-x": "hello there", "bob-y-1": "two lines"}
    assert (good["ann-x"].speaker, good["ann-x"].split, good["ann-x"].language) == ("ann", "ann", "en")
    assert any("untold.txt is missing" in reason for reason in bad)
    assert any("orphan.txt text without audio" in reason for reason in bad)
    assert len(bad) == 2
    assert run(Folder(tmp_path, tmp_path, require_text=False))[0]["bob-untold"].text is None
    assert run(Folder(tmp_path, tmp_path, speaker="prefix"))[0]["bob-y-1"].speaker == "y"


def test_folder_with_one_file_of_transcripts(tmp_path):
    clips(tmp_path, "a/x.wav", "y.wav", "z.wav", "w.wav")
    put(tmp_path / "all.txt", b"a/x.wav hello there\ny\tone two\nz.wav|it is, all\nghost boo\nlonely\nw caf\xe9\n")
    good, bad = run(Folder(tmp_path, tmp_path, transcripts="all.txt"))
    assert texts(good) == {"a-x": "hello there", "y": "one two", "z": "it is, all"}
    assert len(bad) == 4
    for part in ("all.txt: ghost text without audio", "all.txt:5 there is no text", "all.txt:6 the text is not UTF-8",
                 "w.wav no text"):  # fmt: skip
        assert any(part in reason for reason in bad)
    with pytest.raises(StentorError, match="no such file of transcripts"):
        run(Folder(tmp_path, tmp_path, transcripts="al.txt"))


def test_a_folder_that_is_none_or_empty(tmp_path):
    with pytest.raises(StentorError, match="not a folder"):
        run(Folder(put(tmp_path / "file", "x"), tmp_path))
    with pytest.raises(StentorError, match="no audio was found"):
        prepare(Folder(tmp_path, tmp_path), tmp_path / "out", PrepareSettings(progress=False))


def test_csv_table(tmp_path):
    table = put(tmp_path / "meta.csv", 'path,sentence,who,offset,duration,mood\nx.wav,"hello, there",ann,0.2,0.5,calm\n'
                                       "x.wav,hello, there,ann,0,1,calm\n,no path,ann,,,\ny.wav,,ann,,,\n"
                                       "y.wav,ok,bob,,soon,\ny.wav,fine,bob,,,\n")  # fmt: skip
    good, bad = run(Table(table, tmp_path, speaker="who"))
    assert texts(good) == {"x-00000.200": "hello, there", "y": "fine"}
    first = good["x-00000.200"]
    assert (first.audio, first.speaker, first.start, first.duration) == (tmp_path / "x.wav", "ann", 0.2, 0.5)
    assert first.custom == {"mood": "calm"}
    assert [reason.split()[0].rpartition(":")[2] for reason in bad] == ["3", "4", "5", "6"]
    assert "7 instead of 6" in bad[0]


def test_a_wrong_column_gets_the_near_one(tmp_path):
    table = put(tmp_path / "meta.csv", "path,sentence,speaker_name\nx.wav,hi,ann\n")
    with pytest.raises(StentorError, match=r"no column 'speakername'.*Did you mean 'speaker_name'"):
        run(Table(table, tmp_path, speaker="speakername"))
    with pytest.raises(StentorError, match="no column looks like the path"):
        run(Table(put(tmp_path / "other.csv", "a,b\n1,2\n"), tmp_path))
    with pytest.raises(StentorError, match="no such table"):
        run(Table(tmp_path / "none.csv", tmp_path))


def test_tsv_without_header_and_with_stray_quotes(tmp_path):
    table = put(tmp_path / "meta.tsv", 'x.wav\tsay "cheese\ny.wav\tall right\n')
    good, bad = run(Table(table, tmp_path, columns=("audio", "text")))
    assert texts(good) == {"x": 'say "cheese', "y": "all right"}
    assert not bad


def test_a_quotation_mark_that_is_never_closed_is_told_with_what_it_swallows(tmp_path):
    lines = "".join(f"{number}.wav,fine\n" for number in range(50))
    good, bad = run(Table(put(tmp_path / "meta.csv", f'audio,text\na.wav,"oh\n{lines}'), tmp_path))
    assert not good
    assert "meta.csv:2 a quotation mark is not closed: the row swallows 50 further lines" in bad[0]


def test_jsonl_table_of_another_toolkit(tmp_path):
    rows = [{"audio_filepath": "x.wav", "duration": 1.0, "text": "hi", "speaker": 12},
            {"audio_filepath": "y.wav", "text": ["not", "text"]}, {"audio_filepath": 5, "text": "hi"}]  # fmt: skip
    table = put(tmp_path / "train.jsonl", "\n".join(map(json.dumps, rows)) + "\n{broken\n[]\n")
    good, bad = run(Table(table, tmp_path))
    assert good["x"].speaker == "12"
    assert len(good) == 1
    assert len(bad) == 4


def kaldi(folder):
    clips(folder, "audio/rec1.wav", "audio/rec2.wav")
    put(folder / "data/train/wav.scp", "rec1 audio/rec1.wav\nrec2  sph2pipe -f wav rec2.sph |\nrec3 feats.ark:17\n"
                                       f"rec4\t{folder}/audio/rec2.wav\n")  # fmt: skip
    put(folder / "data/train/text", "rec1-a HELLO  THERE\nrec1-b AGAIN\nrec4-a YES\nrec2-a X\nrec3-a X\nghost BOO\n")
    put(folder / "data/train/segments", "rec1-a rec1 0.00 0.40\nrec1-b rec1 0.4 0.9\nrec4-a rec4 0 -1\n"
                                        "rec2-a rec2 0 1\nrec3-a rec3 0 1\nrec9-a rec9 0 1\nbad rec1 x\n"
                                        "mute rec1 0 1\n")  # fmt: skip
    put(folder / "data/train/utt2spk", "rec1-a ann\nrec1-b ann\nrec4-a bob\n")
    put(folder / "data/train/spk2gender", "ann f\n")


def test_kaldi(tmp_path):
    kaldi(tmp_path)
    good, bad = run(Kaldi(tmp_path / "data", tmp_path, language="en"))
    assert texts(good) == {"rec1-a": "HELLO  THERE", "rec1-b": "AGAIN", "rec4-a": "YES"}
    item = good["rec1-b"]
    assert (item.audio, item.start, item.speaker, item.split) == (tmp_path / "audio/rec1.wav", 0.4, "ann", "train")
    assert item.duration == pytest.approx(0.5)
    assert item.custom == {"gender": "F"}
    assert good["rec4-a"].duration is None
    told = "\n".join(bad)
    for part in ("rec2-a a piped command is refused", "rec3-a a Kaldi archive is refused",
                 "rec9-a its recording is not", "bad a segment is RECORDING START END",
                 "mute no text", "ghost text without audio"):  # fmt: skip
        assert part in told
    assert len(bad) == 6


def test_kaldi_commands_are_never_run(tmp_path):
    put(
        tmp_path / "wav.scp",
        f"a touch {tmp_path}/ran |\nb | touch {tmp_path}/ran\nc cat x.wav; touch {tmp_path}/ran |\n",
    )
    put(tmp_path / "text", "a hi\nb hi\nc hi\n")
    good, bad = run(Kaldi(tmp_path, tmp_path))
    assert not good
    assert len(bad) == 3
    assert not (tmp_path / "ran").exists()


def test_kaldi_without_wav_scp(tmp_path):
    with pytest.raises(StentorError, match=r"no wav\.scp"):
        run(Kaldi(tmp_path, tmp_path))


def test_librispeech(tmp_path):
    root = tmp_path / "LibriSpeech"
    clips(
        root, "dev-clean/84/121/84-121-0000.flac", "dev-clean/84/121/84-121-0007.flac", "test-other/99/5/99-5-0000.flac"
    )
    put(root / "dev-clean/84/121/84-121.trans.txt", "84-121-0000 GO DO YOU HEAR\n84-121-0001 GONE\n")
    put(root / "test-other/99/5/99-5.trans.txt", "99-5-0000 BUT\n")
    put(root / "SPEAKERS.TXT", ";ID |SEX| SUBSET\n84   | F | dev-clean        |  8.02 | Christie\n")
    for source in (tmp_path, root):
        good, bad = run(LibriSpeech(source, tmp_path, lower=True))
        assert texts(good) == {"84-121-0000": "go do you hear", "84-121-0001": "gone", "99-5-0000": "but"}
        first = good["84-121-0000"]
        assert (first.speaker, first.split, first.custom) == ("84", "dev-clean", {"gender": "F"})
        assert len(bad) == 1
        assert "84-121-0007" in bad[0]
    assert list(run(LibriSpeech(root, tmp_path, subsets=("test-other",)))[0]) == ["99-5-0000"]
    assert list(run(LibriSpeech(root / "dev-clean", tmp_path))[0]) == ["84-121-0000", "84-121-0001"]
    with pytest.raises(StentorError, match="Did you mean 'dev-clean'"):
        run(LibriSpeech(root, tmp_path, subsets=("dev-claen",)))
    with pytest.raises(StentorError, match=r"trans\.txt"):
        run(LibriSpeech(tmp_path / "nothing", tmp_path))


def test_ljspeech(tmp_path):
    clips(tmp_path, "wavs/LJ001-0001.wav", "wavs/LJ001-0002.wav")
    put(tmp_path / "metadata.csv", 'LJ001-0001|Born in 1452|Born in fourteen fifty-two\nLJ001-0002|say "so"\nbroken\n')
    good, bad = run(LJSpeech(tmp_path, tmp_path))
    assert texts(good) == {"LJ001-0001": "Born in fourteen fifty-two", "LJ001-0002": 'say "so"'}
    assert texts(run(LJSpeech(tmp_path, tmp_path, normalised=False))[0])["LJ001-0001"] == "Born in 1452"
    assert len(bad) == 1
    assert "metadata.csv:3" in bad[0]
    with pytest.raises(StentorError, match=r"metadata\.csv is missing"):
        run(LJSpeech(tmp_path / "wavs", tmp_path))


def test_common_voice(tmp_path):
    head = "client_id\tpath\tsentence\tup_votes\tage\tlocale\n"
    put(tmp_path / "train.tsv", head + 'c1\ta.mp3\t"Hello" she said\t2\ttwenties\ten\nc2\tb\tYes.\t2\t\ten\n')
    put(tmp_path / "dev.tsv", head + "c3\tc.mp3\t\t0\t\ten\n")
    put(tmp_path / "validated.tsv", head)
    good, bad = run(CommonVoice(tmp_path, tmp_path))
    assert texts(good) == {"a": '"Hello" she said', "b": "Yes."}
    first = good["a"]
    assert (first.speaker, first.language, first.split) == ("c1", "en", "train")
    assert first.custom == {"up_votes": "2", "age": "twenties"}
    assert good["b"].audio == tmp_path / "clips" / "b.mp3"
    assert len(bad) == 1
    with pytest.raises(StentorError, match="Options: dev, train, validated"):
        run(CommonVoice(tmp_path, tmp_path, splits=("test",)))


def recording(name="rec", kind="file", source="rec.wav"):
    return {"id": name, "sources": [{"type": kind, "channels": [0], "source": source}], "sampling_rate": 16_000,
            "num_samples": 16_000, "duration": 1.0, "channel_ids": [0]}  # fmt: skip


def supervision(name, start, duration, text="hi", of="rec"):
    return {"id": name, "recording_id": of, "start": start, "duration": duration, "channel": 0, "text": text,
            "speaker": "ann", "language": "en"}  # fmt: skip


def lines(*rows):
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


def test_lhotse_recordings_with_supervisions(tmp_path):
    clips(tmp_path, "rec.wav")
    put(tmp_path / "x_recordings_dev.jsonl", lines(recording(), recording("shell", "command", "rm -rf x"), "{"))
    put(tmp_path / "x_supervisions_dev.jsonl",
        lines(supervision("a", 0.0, 0.4), supervision("b", 0.5, 0.3), supervision("c", 0, 1, of="shell"),
              supervision("d", 0, 1, of="gone"), supervision("e", 0, 7), "[]"))  # fmt: skip
    good, bad = run(Lhotse(tmp_path, tmp_path))
    assert list(good) == ["a", "b"]
    item = good["b"]
    assert (item.start, item.duration, item.speaker, item.split) == (0.5, 0.3, "ann", "dev")
    assert len(bad) == 5
    assert any("'command' is refused" in reason for reason in bad)


def test_lhotse_cuts_with_several_supervisions_and_our_own_manifests(tmp_path):
    clips(tmp_path, "rec.wav")
    cut = {"id": "cut", "start": 0.1, "duration": 0.9, "channel": 0, "recording": recording(), "type": "MonoCut",
           "features": {"storage_type": "x"},
           "supervisions": [supervision("s1", 0, 0.4), supervision("s2", 0.5, 0.4), 5]}  # fmt: skip
    put(tmp_path / "cuts_train.jsonl", lines(cut))
    good, bad = run(Lhotse(tmp_path / "cuts_train.jsonl", tmp_path))
    assert {name: round(item.start, 6) for name, item in good.items()} == {"s1": 0.1, "s2": 0.6}
    assert len(bad) == 1
    own = Utterance(
        "own", str(tmp_path / "rec.wav"), 0.5, 16_000, 0.25, "hi", "ann", frames=16_000, custom={"style": "calm"}
    )
    manifest.save(tmp_path / "own.jsonl.gz", [own])
    item = run(Lhotse(tmp_path / "own.jsonl.gz", tmp_path))[0]["own"]
    assert (item.split, item.start, item.custom) == ("own", 0.25, {"style": "calm"})


def test_lhotse_writes_what_is_imported(tmp_path):
    lhotse = pytest.importorskip("lhotse")
    clips(tmp_path, "rec.wav")
    theirs = lhotse.Recording.from_file(tmp_path / "rec.wav")
    lhotse.RecordingSet.from_recordings([theirs]).to_file(tmp_path / "y_recordings_all.jsonl.gz")
    segment = lhotse.SupervisionSegment("s", theirs.id, 0.1, 0.5, text="hi", speaker="ann", custom={"style": "calm"})
    lhotse.SupervisionSet.from_segments([segment]).to_file(tmp_path / "y_supervisions_all.jsonl.gz")
    good, bad = run(Lhotse(tmp_path, tmp_path))
    assert (good["s"].text, good["s"].duration, good["s"].custom) == ("hi", 0.5, {"style": "calm"})
    assert not bad
    with pytest.raises(StentorError, match=r"no \*cuts\*"):
        run(Lhotse(put(tmp_path / "empty/readme", "x").parent, tmp_path))


def test_audio_folder_of_datasets(tmp_path):
    clips(tmp_path, "train/a.wav", "train/sub/b.wav", "test/c.wav")
    put(tmp_path / "train/metadata.csv", "file_name,transcription,mood\na.wav,hello,calm\nsub/b.wav,there,\n")
    put(tmp_path / "test/metadata.jsonl", lines({"file_name": "c.wav", "transcription": "bye"}))
    good, bad = run(HuggingFace(tmp_path, tmp_path))
    assert texts(good) == {"train-a": "hello", "train-sub-b": "there", "test-c": "bye"}
    assert {name: item.split for name, item in good.items()} == {
        "train-a": "train",
        "train-sub-b": "train",
        "test-c": "test",
    }
    assert good["train-a"].custom == {"mood": "calm"}
    assert not bad
    put(tmp_path / "empty/x.bin", "x")
    with pytest.raises(StentorError, match="holds no metadata"):
        run(HuggingFace(tmp_path / "empty", tmp_path))


def saved_data_set(folder, arrow):
    clips(folder, "a.wav")
    rows = {"audio": [{"bytes": (folder / "a.wav").read_bytes(), "path": "a.wav"}, {"bytes": None, "path": None}],
            "sentence": ["hello", "nothing"], "speaker": ["ann", "bob"]}  # fmt: skip
    table = arrow.table(rows)
    (folder / "train").mkdir()
    with (
        arrow.OSFile(str(folder / "train/data-0.arrow"), "wb") as sink,
        arrow.ipc.new_stream(sink, table.schema) as out,
    ):
        out.write_table(table)
    put(folder / "train/state.json", json.dumps({"_data_files": [{"filename": "data-0.arrow"}]}))


def test_saved_data_sets_and_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="needs the extra 'datasets'")
    parquet = pytest.importorskip("pyarrow.parquet")
    saved_data_set(tmp_path / "in", arrow)
    good, bad = run(HuggingFace(tmp_path / "in", tmp_path / "work"))
    item = good["train-000000"]
    assert (item.text, item.speaker, item.split) == ("hello", "ann", "train")
    assert audio.info(item.audio).frames == 16_000
    assert len(bad) == 1
    rows = arrow.ipc.open_stream(str(tmp_path / "in/train/data-0.arrow")).read_all()
    (tmp_path / "flat").mkdir()
    parquet.write_table(rows, tmp_path / "flat/test-00000-of-00001.parquet")
    assert list(run(HuggingFace(tmp_path / "flat", tmp_path / "work"))[0]) == ["test-000000"]
    with pytest.raises(StentorError, match="no such column"):
        run(HuggingFace(tmp_path / "flat", tmp_path / "work", audio="sound"))


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    put(tmp_path / "train/state.json", json.dumps({"_data_files": [{"filename": "data-0.arrow"}]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StentorError, match=r"pip install 'stentor\[datasets\]'"):
        run(HuggingFace(tmp_path, tmp_path / "work"))


def test_a_damaged_state_names_no_file_outside(tmp_path):
    put(tmp_path / "train/state.json", '{"_data_files": "none"}')
    with pytest.raises(StentorError, match="not the state of a saved data set"):
        run(HuggingFace(tmp_path, tmp_path / "work"))


def test_the_order_does_not_depend_on_hash_seeds(tmp_path):
    kaldi(tmp_path)
    script = ("import sys; from pathlib import Path; from stentor.data.corpora.kaldi import Kaldi\n"
              "for one in Kaldi(Path(sys.argv[1]), Path(sys.argv[1])).items(): print(one)")  # fmt: skip
    told = {subprocess.run([sys.executable, "-c", script, tmp_path / "data"], capture_output=True, check=True,
                           env={"PYTHONHASHSEED": seed}).stdout for seed in "12"}  # fmt: skip
    assert len(told) == 1


@pytest.mark.parametrize("name", IMPORTERS)
def test_noise_instead_of_a_corpus_is_a_stentor_error_or_rejected(tmp_path, name):
    source = tmp_path / "source"
    for file in ("metadata.csv", "wav.scp", "text", "x.txt", "train.tsv", "cuts.jsonl", "x-1.trans.txt", "x.wav"):
        put(source / "a/b" / file, bytes(range(256)) * 9)
        put(source / file, bytes(range(255, -1, -1)) * 9)
    corpus = (
        registry().get("corpus", name).load()(source / "metadata.csv" if name == "table" else source, tmp_path / "work")
    )
    with pytest.raises(StentorError):
        prepare(corpus, tmp_path / "out", PrepareSettings(progress=False))


def test_csv_fields_larger_than_the_limit_are_rejected(tmp_path):
    big = "x" * (csv.field_size_limit() + 1)
    good, bad = run(Table(put(tmp_path / "meta.csv", f"audio,text\na.wav,{big}\nb.wav,fine\n"), tmp_path))
    assert list(good) == ["b"]
    assert "not CSV" in bad[0]
