"""The kit finds what is wrong, says it in one line, and leaves sound components alone."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.registry import Origin
from stentor.testing import ComponentContract, EncoderContract, check, contract_for, run_contract

LIES = [
    ("encoder", "WideLiar", "declared_width", "it declares dim = 16 and gives frames of width 8"),
    ("encoder", "Counting", "declared_lengths", "frames(1600) declares 5, encoding gives 4"),
    ("encoder", "PaddingSensitive", "padding_invariance", "they differ by up to"),
    ("encoder", "PaddingSensitive", "batch_equals_single", "they differ by up to"),
    ("encoder", "Forgetful", "state_dict_round_trip", "neither a parameter nor a buffer"),
    ("encoder", "Forgetful", "moves_device", "tensor 'bias' is no parameter or buffer"),
    ("encoder", "Detached", "gradient_reaches_parameters", "no gradient reaches 'unused.weight'"),
    ("encoder", "Stuttering", "streaming_equals_offline", "shapes are"),
    ("encoder", "Hoarding", "declared_delay", "of 0.5 s it gives 0 frames"),
    ("encoder", "Mingling", "streams_are_apart", "beside another: they differ"),
    ("encoder", "Swallowing", "parameters_typed", "misspelt options would pass unseen"),
    ("encoder", "Swallowing", "unknown_option", "accepts 'no_such_option'"),
    ("encoder", "Shuffling", "deterministic", "evaluation twice gives two outputs"),
    ("adapter", "Halving", "declared_stride", "stride 2 makes 1 embeddings of 1 frames; it gives 0"),
    ("tokenizer", "Raising", "unknown_characters", "ValueError"),
    ("reward", "Zeroing", "unusable_response", "NaN is due"),
    ("vad", "Hasty", "streaming_equals_offline", "against the whole: they differ"),
    ("codec", "Overflowing", "codes_in_range", "'power' with 16 codes gives"),
    ("codec", "Rushing", "streaming_equals_whole", "shapes of 'power' are"),
    ("codec", "Normalising", "batch_equals_single", "codes of 'power' differ"),
    ("codec", "Partial", "whole_groups", "1 samples give codes [(1,)]; due are [0]"),
    ("codec", "Misrated", "declared_spec", "declares 100 Hz; 1 codes in a group are 50 Hz"),
    ("codec", "Mumbling", "decoded_lengths", "55 codes give 8800 samples; due are 17600"),
    ("voice", "Hurrying", "together", "does not give the samples that it gives alone"),
    ("metric", "Upside", "direction", "perfect outputs score 1, wrong ones 0"),
]


@pytest.fixture(scope="module", autouse=True)
def registered():
    """The liars, registered as those of a plugin 'liars'."""
    known = registry()
    saved, origin = known.snapshot(), known.origin
    known.origin = Origin("liars", "stentor-liars", "1.0")
    for kind, name in dict.fromkeys(
        [(kind, name) for kind, name, *_ in LIES] + [("encoder", "Sound"), ("codec", "Loudness")]
    ):
        known.add(kind, name, f"liars:{name}")
    yield
    known.restore(saved)
    known.origin = origin


@cache
def results(kind, name):
    return {result.check: result for result in check(kind, name)}


@pytest.mark.parametrize(("kind", "name", "wrong", "words"), LIES, ids=lambda value: str(value)[:24])
def test_a_lie_is_found_and_told_in_one_line(kind, name, wrong, words):
    found = results(kind, name)[wrong]
    assert found.outcome == "failed"
    assert words in found.reason
    assert f"{kind} '{name}'" in found.reason
    assert wrong in found.reason
    assert "\n" not in found.reason


def test_a_width_lie_names_the_plugin():
    told = results("encoder", "WideLiar")["declared_width"].reason
    assert "of plugin 'liars' (stentor-liars 1.0) fails declared_width: it declares dim = 16" in told


def test_a_sound_component_passes_everything_it_claims():
    outcomes = {name: result.outcome for name, result in results("encoder", "Sound").items()}
    for streaming in ("streaming_equals_offline", "streams_are_apart", "declared_delay"):
        assert outcomes.pop(streaming) == "skipped"
    assert set(outcomes.values()) == {"passed"}


def test_a_sound_codec_passes_everything_it_claims():
    outcomes = {name: result.outcome for name, result in results("codec", "Loudness").items()}
    skipped = {name for name, outcome in outcomes.items() if outcome == "skipped"}
    assert {name for name in skipped if name.startswith("decod")} == {
        "decoded_lengths", "decoded_batch_equals_single", "decoding_in_steps_equals_whole",
    }  # fmt: skip
    assert set(outcomes.values()) == {"passed", "skipped"}


def test_what_is_not_claimed_is_skipped_with_a_reason():
    told = results("encoder", "Sound")["streaming_equals_offline"]
    assert told.reason == "encoder 'Sound' does not claim 'streaming'"


def test_a_declared_failure_is_expected_and_an_undue_one_is_a_failure():
    class Declared(EncoderContract):
        name = "WideLiar"
        expected_failed = {"declared_width": "known", "pickles": "not so"}

    found = {result.check: result for result in run_contract(Declared)}
    assert (found["declared_width"].outcome, found["declared_width"].reason) == ("expected", "known")
    assert found["pickles"].outcome == "failed"
    assert "remove it from expected_failed" in found["pickles"].reason


def test_every_kind_has_a_contract():
    for kind in registry().kinds():
        contract = contract_for(kind.name)
        assert issubclass(contract, ComponentContract)
        assert contract.kind == kind.name


def test_our_kinds_have_checks_of_their_own():
    common = {name for name in dir(ComponentContract) if name.startswith("test_")}
    for kind in registry().kinds():
        if kind.origin.plugin in ("stentor", "asr"):
            assert {name for name in dir(contract_for(kind.name)) if name.startswith("test_")} > common


def test_unknown_names_and_options_get_a_near_match():
    with pytest.raises(StentorError, match="Did you mean 'Sound'"):
        check("encoder", "Soudn")
    with pytest.raises(StentorError, match="Did you mean 'dim'"):
        check("encoder", "Sound", dime=3)


def run_pytest(folder, body):
    """pytest in a fresh process on a test module with `body`, liars importable."""
    here = Path(__file__).parent
    (folder / "conftest.py").write_text(
        f"import sys; sys.path.insert(0, {json.dumps(str(here))})\n"
        "from stentor.plugins import registry\n"
        "for name in ('Sound', 'WideLiar'): registry().add('encoder', name, f'liars:{name}')\n"
    )
    (folder / "test_them.py").write_text(f"from stentor.testing import EncoderContract\n\n{body}")
    words = ["-q", "-p", "no:cacheprovider", "-k", "declared_width or pickles", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip


def test_in_pytest_a_failure_is_one_line_and_an_expected_one_is_strict(tmp_path):
    body = (
        "class TestLiar(EncoderContract):\n    name = 'WideLiar'\n\n"
        "class TestKnown(EncoderContract):\n    name = 'WideLiar'\n"
        "    expected_failed = {'declared_width': 'known', 'pickles': 'not so'}\n"
    )
    done = run_pytest(tmp_path, body)
    assert "1 xfailed" in done.stdout
    assert "2 failed" in done.stdout
    assert "[XPASS(strict)] not so" in done.stdout
    told = done.stdout.partition("TestLiar.test_declared_width ")[2].splitlines()[1]
    assert told.startswith("encoder 'WideLiar' of ")
    assert told.endswith("fails declared_width: it declares dim = 16 and gives frames of width 8.")
    assert "stentor/testing" not in done.stdout


def test_an_expectation_that_names_no_check_is_refused(tmp_path):
    body = "class TestIt(EncoderContract):\n    name = 'Sound'\n    expected_failed = {'no_such': 'x'}\n"
    done = run_pytest(tmp_path, body)
    assert "TestIt.expected_failed names 'no_such', which is no check" in done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.USAGE_ERROR


def test_the_pytest_plugin_loads_no_torch():
    code = "import sys, stentor.testing.plugin; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
