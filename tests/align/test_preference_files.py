"""`stentor preferences`: what it is told wrongly, what gives no preference, and files of TRL's format as they come."""

import gzip
import json
import math

import pytest
import soundfile
import tiny

from stentor.cli import main
from stentor.data import manifest
from stentor.data.utterance import Utterance
from stentor.interfaces.corpus import Rejected
from stentor_align.prefer.questions import questions
from stentor_align.preferences.selecting import Selection, same, select

ROW = Utterance("row", "", 1.0, 0, text="abc", custom={"instruction": "say"})


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return str(tiny.kept(tmp_path_factory.mktemp("parent") / "run"))


def said(capsys, *words):
    """Exit code, what went to the terminal, and the last line that says what is wrong."""
    capsys.readouterr()
    code = main(["preferences", *map(str, words)])
    found = capsys.readouterr()
    return code, found.out, (found.err.splitlines() or [""])[-1]


def lines(path, *told):
    """A file of lines, gzipped if its name says so."""
    content = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in told).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def dropped(output):
    place = output.with_name(output.name.removesuffix(".gz").removesuffix(".jsonl") + ".dropped.jsonl")
    return [json.loads(line)["reason"] for line in place.read_text().splitlines()] if place.exists() else []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--reward: nothing says which response is better"),
        (("--reward", ""), "--reward: nothing says which response is better"),
        (("--reward", "format", "--samples", "1"), "--samples: a preference needs 2 responses at least, not 1."),
        (("--reward", "format", "--samples", "-3"), "--samples: a preference needs 2"),
        (("--reward", "format", "--margin", "-0.1"), "--margin: it must be a finite number of at least 0, not -0.1."),
        (("--reward", "format", "--margin", "nan"), "--margin: it must be a finite"),
        (("--reward", "format", "--margin", "inf"), "--margin: it must be a finite"),
        (("--reward", "format", "--temperature", "0"), "temperature: it must be more than 0"),
        (("--reward", "gone.yaml"), "gone.yaml"),
    ],
)
def test_what_build_cannot_use_is_refused_before_anything_is_read(words, told, tmp_path, capsys):
    code, out, error = said(capsys, "build", "no-run", "no-rows", "-o", tmp_path / "o.jsonl.gz", *words)
    assert (code, out) == (2, "") and told in error and not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["score", "import", "export"])
@pytest.mark.parametrize("option", ["--reward=format", "--samples=5", "--margin=0", "--form=all", "--seed=0"])
def test_options_of_build_are_of_build_alone(what, option, tmp_path, capsys):
    sources = ["a", "b"] if what == "score" else ["a"]
    code, _, error = said(capsys, what, *sources, "-o", tmp_path / "o", option)
    assert code == 2 and f"'preferences {what}' does not take it" in error


def test_nothing_kept_is_told_with_reasons(parent, tmp_path, capsys):
    prompts = tiny.manifest(tmp_path, [(word, {}) for word in ("abc", "fed", "cab")])
    output = tmp_path / "out.jsonl.gz"
    words = ["build", parent, prompts, "--reward", "format", "-o", output, "--samples", "4"]  # everything scores 1
    code, out, error = said(capsys, *words)
    assert code == 1 and not output.exists() and "rows" not in out
    assert (
        "nothing is kept of 3 prompts, so it is not written: 3 dropped; scores too close: 3; each of them in" in error
    )
    assert len(dropped(output)) == 3 and "earlier call" not in error


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_import_reads_both_kinds_of_file(ending, tmp_path, capsys):
    source, output = tmp_path / f"trl.{ending}", tmp_path / "rows.jsonl.gz"
    fine = {"prompt": "say", "chosen": "a", "rejected": "b"}
    lines(source, fine, {**fine, "id": "x"}, {**fine, "id": "x", "chosen": "c"}, {**fine, "id": "x"})
    assert said(capsys, "import", source, "-o", output)[:2] == (0, f"{output}: 4 rows; 0 dropped\n")
    assert [row.id for row in manifest.load(output)] == ["trl-1", "x", "x-2", "x-3"], "none is lost for its id"


def test_import_goes_on_where_lines_are_of_no_use(tmp_path, capsys):
    fine = {"prompt": "say", "chosen": "a", "rejected": "b"}
    turns = [{"role": "user", "content": "a"}] * 2
    bad = {
        "nonsense": "the line is not JSON",
        "[" * 10_000: "the line is not JSON",
        "3": "a preference is an object, not int",
        '{"chosen": "a"}': "it must be a text, or a list",
        json.dumps({**fine, "rejected": "a"}): "chosen and rejected say the same",
        json.dumps({"chosen": turns, "rejected": turns}): "chosen and rejected say the same",
        json.dumps({**fine, "score_chosen": "high"}): "it must be a finite number. (score_chosen)",
        json.dumps({**fine, "score_rejected": math.nan}): "it must be a finite number. (score_rejected)",
        json.dumps({**fine, "chosen": "\ud83d"}): "it has half of a character",
    }  # fmt: skip
    source, output = lines(tmp_path / "trl.jsonl", {**fine, "score_chosen": None}, *bad), tmp_path / "rows.jsonl.gz"
    code, out, _ = said(capsys, "import", source, "-o", output)
    assert code == 0 and f"1 rows; {len(bad)} dropped" in out
    for told, reason in zip(bad.values(), dropped(output), strict=True):
        assert reason.startswith(told)


def test_import_of_what_holds_nothing(tmp_path, capsys):
    output = tmp_path / "rows.jsonl.gz"
    same_twice = {"prompt": "say", "chosen": "a", "rejected": "a"}
    source = lines(tmp_path / "trl.jsonl.gz", same_twice, "nonsense", same_twice)
    code, _, error = said(capsys, "import", source, "-o", output)
    assert code == 1 and not output.exists()
    assert "of 3 lines" in error and "chosen and rejected say the same: 2; the line is not JSON: 1" in error
    code, _, error = said(capsys, "import", lines(tmp_path / "empty.jsonl"), "-o", output)
    assert code == 1 and "nothing is kept of 0 lines" in error and dropped(output) == [], "none of an earlier call"
    code, _, error = said(capsys, "import", tmp_path / "gone.jsonl.gz", "-o", output)
    assert code == 2 and "cannot be opened" in error


def test_a_file_that_breaks_off_gives_what_it_has(tmp_path, capsys):
    rows = [{"prompt": f"say {n}", "chosen": f"{n * 7919}", "rejected": "b"} for n in range(3000)]
    source = lines(tmp_path / "trl.jsonl.gz", *rows)
    source.write_bytes(source.read_bytes()[:-2000])
    code, out, _ = said(capsys, "import", source, "-o", tmp_path / "rows.jsonl.gz")
    assert code == 0 and "; 1 dropped" in out
    assert "damaged" in dropped(tmp_path / "rows.jsonl.gz")[0] and len(manifest.load(tmp_path / "rows.jsonl.gz")) > 1000


def test_export_drops_what_says_no_preference_and_counts_it(tmp_path, capsys):
    rows = {
        "fine": {"chosen": "a", "rejected": {"text": "b", "tokens": [1]}},
        "same text": {"chosen": {"text": "a", "tokens": [1]}, "rejected": {"text": "a", "tokens": [2]}},
        "same tokens": {"chosen": {"text": "a", "tokens": [1]}, "rejected": {"text": "b", "tokens": [1]}},
        "upside down": {"chosen": {"text": "a", "score": 1.0}, "rejected": {"text": "b", "score": 1.5}},
        "level": {"chosen": {"text": "a", "score": 1.0}, "rejected": {"text": "b", "score": 1.0}},
        "no text": {"chosen": {"tokens": [1]}, "rejected": "b"},
        "none": {},
        "list": {"ranked": ["a", "b", "b"]},
    }
    source, output = tiny.manifest(tmp_path, list(rows.items())), tmp_path / "trl.jsonl"
    code, out, _ = said(capsys, "export", source, "-o", output)
    assert code == 0 and "3 pairs; 7 dropped" in out
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(line["chosen"][0]["content"], line["rejected"][0]["content"]) for line in found] == [("a", "b")] * 3
    reasons = dropped(output)
    assert sum(one.startswith("chosen and rejected say the same") for one in reasons) == 3
    assert sum(one.startswith("scores do not prefer") for one in reasons) == 2
    assert sum("no text" in one or "no two responses" in one for one in reasons) == 2
    nothing = tiny.manifest(tmp_path, [("x", rows["same tokens"])], name="nothing")
    code, _, error = said(capsys, "export", nothing, "-o", tmp_path / "none.jsonl")
    assert code == 1 and "nothing is kept of 1 rows" in error and not (tmp_path / "none.jsonl").exists()


def test_what_is_exported_gzipped_comes_back(tmp_path, capsys):
    source = tiny.manifest(tmp_path, [("xyz", {"ranked": ["x", "HALF", "z"]}), ("é", {"chosen": "é", "rejected": "e"})])
    source.write_bytes(gzip.decompress(source.read_bytes()).replace(b"HALF", b"\\ud83d"))
    there, back = tmp_path / "trl.jsonl.gz", tmp_path / "back.jsonl.gz"
    code, out, _ = said(capsys, "export", source, "-o", there)
    assert code == 0 and "4 pairs; 0 dropped" in out
    assert len(gzip.decompress(there.read_bytes()).splitlines()) == 4
    code, out, _ = said(capsys, "import", there, "-o", back)
    assert code == 0 and "2 rows; 2 dropped" in out, "half of a character"
    assert [row.id for row in manifest.load(back)] == ["train-0", "train-1"]


def test_what_is_the_same():
    assert same({"tokens": [1, 2], "text": "a"}, {"tokens": (1, 2), "text": "b"})
    assert not same({"tokens": [1], "text": "a"}, {"tokens": [2], "text": "a"})
    assert same({"tokens": [1], "text": "a"}, {"text": "a"}) and not same({"text": "a"}, {"text": "b"})
    assert not same({"audio": "x", "text": "a"}, {"audio": "y", "text": "a"})
    assert not same({"audio": "x", "text": "a"}, {"text": "a"}) and same({"audio": "x"}, {"audio": "x", "text": "b"})


def test_no_pair_is_built_of_the_same_tokens():
    twice = [{"text": "a", "tokens": [1], "score": 3.0}, {"text": "a", "tokens": (1,), "score": 0.0}]
    (found,) = select(ROW, twice, Selection())
    assert isinstance(found, Rejected) and "too few different" in found.reason
    made = select(ROW, [*twice, {"text": "b", "tokens": [2], "score": 1.0}], Selection(0, "all"))
    assert [(one.custom["chosen"]["text"], one.custom["rejected"]["text"]) for one in made] == [("a", "b")]


def test_nobody_is_asked_to_compare_the_same_tokens(tmp_path):
    heard = [{"text": "a", "tokens": [1, 2]}, {"text": "a", "tokens": [1, 2]}, {"text": "b", "tokens": [1, 2]}]
    found, left = questions([Utterance("r", "", 1.0, 0, text="t", custom={"responses": heard})], tmp_path, 0)
    assert len(found) == 1 and not left, "tokens of two systems may be equal by chance"
    for number, one in enumerate(heard[:2]):  # a vocoder says the same tokens a little differently each time
        soundfile.write(tmp_path / f"{number}.wav", [0.0, 0.1] * 800, 16000)
        one["audio"] = f"{number}.wav"
    found, left = questions([Utterance("r", "", 1.0, 0, text="t", custom={"responses": heard[:2]})], tmp_path, 0)
    assert not found and "here are 1" in left[0].reason


def test_rows_without_a_preference_are_not_scored(parent, tmp_path, capsys):
    twice = {"chosen": {"text": "abc", "tokens": [1, 2]}, "rejected": {"text": "fed", "tokens": [1, 2]}}
    rows = [("abc", {"chosen": "abc", "rejected": "cba"}), ("fed", twice), ("cab", {}), ("ace", {"chosen": "ace"})]
    output = tmp_path / "scored.jsonl.gz"
    code, out, _ = said(capsys, "score", parent, tiny.manifest(tmp_path, rows), "-o", output)
    assert code == 0 and "1 rows; 3 dropped" in out
    reasons = dropped(output)
    assert "same tokens" in reasons[0] and "no two responses" in reasons[1] and "rejected" in reasons[2]
    nothing = tiny.manifest(tmp_path, rows[1:], name="nothing")
    assert said(capsys, "score", parent, nothing, "-o", tmp_path / "none.jsonl.gz")[0] == 1
