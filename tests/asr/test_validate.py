"""`stentor validate` finds what components would refuse, before anything is built."""

import subprocess
import sys

import pytest

from stentor.cli import main
from stentor.plugins import installed

WRONG = {
    "adapter.stride=0": "adapter.stride: it must be at least 1, not 0.",
    "adapter.hidden=0": "adapter.hidden: it must be at least 1, not 0.",
    "adapter.dropout=1": "adapter.dropout: it must be at least 0 and less than 1, not 1.",
    "backbone.heads=5": "backbone.dim: it must be a multiple of twice the number of heads, 5, not 192.",
    "text.pieces=0": "text.pieces: a byte-pair vocabulary needs at least 2 pieces.",
    "encoder=conformer encoder.dim=7": "encoder.dim: it must be a multiple of twice the number of heads, 4, not 7.",
    "encoder=conformer encoder.kernel=4": "encoder.kernel: it must be positive and odd, not 4.",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_a_component_refuses_is_found(words, capsys):
    assert main(["validate", "asr/speechlm", *words.split()]) == 2
    told = capsys.readouterr()
    assert told.err == f"asr/speechlm: 1 problem\n  {WRONG[words]}\n" and not told.out


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("layers=0", "backbone.layers"),
        ("kv_heads=3", "backbone.kv_heads"),
        ("head_dim=7", "backbone.head_dim"),
        ("ffn_dim=0", "backbone.ffn_dim"),
        ("norm_eps=0", "backbone.norm_eps"),
        ("dropout=1.5", "backbone.dropout"),
    ],
)
def test_shapes_that_no_backbone_has_are_found(words, place, capsys):
    assert main(["validate", "asr/speechlm", f"backbone.{words}"]) == 2
    assert f"  {place}: it must be" in capsys.readouterr().err


def test_the_components_problems_are_told_together(capsys):
    words = [word for one in WRONG if "stride" in one or "heads" in one or "dim=7" in one for word in one.split()]
    assert main(["validate", "asr/speechlm", *words]) == 2
    assert capsys.readouterr().err.startswith("asr/speechlm: 3 problems\n")


def test_weights_that_are_not_there_are_a_problem_and_nothing_is_called_fine(tmp_path, capsys):
    assert main(["validate", "asr/speechlm", f"backbone.weights={tmp_path}"]) == 2
    told = capsys.readouterr()
    assert not told.out and "backbone: pretrained weights" in told.err


def test_one_bad_recipe_does_not_end_the_check_of_all(capsys):
    assert main(["validate", "--all", "text.pieces=0"]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line[0] != " "]
    # a recipe without a text tokenizer has no such section to change
    assert told == [f"{name}: 1 problem" for name in sorted(installed().recipes)] and len(told) > 2


def test_an_ablation_checks_its_whole_grid_before_it_begins(tmp_path, capsys):
    words = ["adapter.stride=5,0", "train.lr=1e-3,-1", "--run", str(tmp_path / "grid")]
    assert main(["ablate", "asr/speechlm", *words]) == 2
    told = capsys.readouterr()
    assert "adapter.stride: it must be at least 1, not 0." in told.err
    assert "it must be more than 0, not -1." in told.err
    assert told.err.count("adapter.stride") == 1 and "cells" not in told.out
    assert not list(tmp_path.iterdir())


def test_a_sweep_checks_all_of_its_runs_before_the_first(tmp_path, capsys):
    words = ["adapter.stride=0,5", "train.warmup=2,0.1", "-m", "--run", str(tmp_path / "sweep")]
    assert main(["train", "asr/speechlm", *words]) == 2
    told = capsys.readouterr().err
    assert "adapter.stride" in told and "train.warmup" in told
    assert not list(tmp_path.iterdir())


def test_components_are_checked_without_transformers():
    code = "import sys; from stentor import cli; cli.main(['validate', 'asr/speechlm'])"
    code += "; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
