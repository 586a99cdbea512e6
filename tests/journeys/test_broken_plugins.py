"""A broken plugin gets one line that names it, and everything else works."""

import pytest
from outside import fake_distribution, stentor

HEAD = "import stentor\n@stentor.hookimpl\n"
REGISTER = HEAD + "def stentor_register(registry):\n    registry."
BROKEN = {
    "missing-import": (
        "import no_such_module_anywhere\n",
        "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
    ),
    "syntax-error": ("def broken(:\n", "SyntaxError"),
    "quits": ("raise SystemExit('bye')\n", "SystemExit: bye"),
    "raises-when-registering": (HEAD + "def stentor_register(registry):\n    1 / 0\n", "ZeroDivisionError"),
    "duplicate": (REGISTER + "metric('wer', 'somewhere:Wer')\n", "metric 'wer' is registered twice: by"),
    "unknown-hook": (
        HEAD + "def stentor_registers(registry):\n    pass\n",
        "hook 'stentor_registers', which does not exist",
    ),
    "unknown-kind": (REGISTER + "add('decodre', 'x', 'm:X')\n", "unknown kind 'decodre'. Did you mean 'decoder'?"),
    "bad-target": (REGISTER + "metric('x', 'no colon')\n", "'no colon'"),
    "no-such-folder": (
        HEAD + "def stentor_recipes():\n    return '/no/such/folder'\n",
        "'/no/such/folder' does not exist",
    ),
}
LIAR = """
import torch
from stentor.interfaces.encoder import Encoder, EncoderSpec


class Liar(Encoder):
    "Says 64, gives 48."

    def __init__(self) -> None:
        super().__init__()
        self.dim, self.frame_rate, self.sample_rate = 64, 50.0, 16000
        self.project = torch.nn.Linear(320, 48)

    @classmethod
    def spec(cls, **_):
        return EncoderSpec(64, 50.0, 16000)

    def frames(self, samples):
        return -(-samples // 320)

    def forward(self, audio, lengths):
        audio = torch.nn.functional.pad(audio, (0, -audio.shape[1] % 320))
        return self.project(audio.unflatten(1, (-1, 320))), (lengths + 319) // 320
"""

GOOD = '''
from stentor.interfaces.metric import Metric

class Good(Metric):
    """Counts utterances that differ."""

    def counts(self, references, outputs):
        return [(float(left != right), 1.0) for left, right in zip(references, outputs, strict=True)]
'''


@pytest.fixture(scope="module")
def sound():
    return stentor("list").stdout


@pytest.mark.parametrize("name", BROKEN)
def test_one_line_names_it_and_the_rest_is_listed(tmp_path, name, sound):
    hooks, words = BROKEN[name]
    fake_distribution(tmp_path, f"stentor-{name}", "2.3", plugin=name, hooks=hooks)
    done = stentor("list", PYTHONPATH=str(tmp_path))
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert f"plugin '{name}' (stentor-{name} 2.3)" in lines[0]
    assert words in lines[0]
    assert done.stdout == sound


def test_strict_mode_stops_with_the_same_line(tmp_path):
    hooks, words = BROKEN["quits"]
    fake_distribution(tmp_path, "stentor-quits", plugin="quits", hooks=hooks)
    done = stentor("list", PYTHONPATH=str(tmp_path), STENTOR_STRICT="1", check=False)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_allow_list_leaves_it_alone(tmp_path):
    fake_distribution(tmp_path, "stentor-quits", plugin="quits", hooks=BROKEN["quits"][0])
    assert stentor("list", PYTHONPATH=str(tmp_path), STENTOR_PLUGINS="asr").stderr == ""


def test_all_of_them_at_once_leave_a_sound_plugin_working(tmp_path):
    for name, (hooks, _) in BROKEN.items():
        fake_distribution(tmp_path, f"stentor-{name}", plugin=name, hooks=hooks)
    fake_distribution(tmp_path, "stentor-good", plugin="good", hooks=REGISTER + "metric('good', 'good_metric:Good')\n",
                      good_metric=GOOD)  # fmt: skip
    done = stentor("check", "metric", "good", PYTHONPATH=str(tmp_path))
    assert len(done.stderr.strip().splitlines()) == len(BROKEN)
    assert done.stdout.strip().splitlines()[-1].startswith("metric 'good': ")
    assert "failed" not in done.stdout


def test_a_component_that_cannot_be_imported_is_blamed_on_its_plugin(tmp_path):
    fake_distribution(tmp_path, "stentor-lost", plugin="lost", hooks=REGISTER + "metric('lost', 'lost_module:Lost')\n")
    done = stentor("check", "metric", "lost", PYTHONPATH=str(tmp_path), check=False)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "plugin 'lost' (stentor-lost 1.0)" in done.stderr
    assert "No module named 'lost_module'" in done.stderr


def test_a_lie_about_the_width_is_one_line_that_names_it(tmp_path):
    fake_distribution(tmp_path, "stentor-liar", "0.3", plugin="liar", liar=LIAR,
                      hooks=REGISTER + "encoder('liar', 'liar:Liar')\n")  # fmt: skip
    done = stentor("check", "encoder", "liar", PYTHONPATH=str(tmp_path), check=False)
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if line.startswith("failed")]
    assert failed == [
        "failed   declared_width: encoder 'liar' of plugin 'liar' (stentor-liar 0.3) fails declared_width: "
        "it declares dim = 64 and gives frames of width 48."
    ]
