"""Environments of an outside developer: a fresh one on top of this, or fake distributions on a path."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


def make_environment(folder):
    """A virtual environment that sees what this one has; its Python."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    python = folder / "bin" / "python"
    libraries = next((folder / "lib").glob("python3*")) / "site-packages"
    (libraries / "below.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return python


def install(python, folder):
    """``pip install -e`` of the distribution in `folder`, offline."""
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps",
        "--no-build-isolation", "--disable-pip-version-check", "-e", folder)  # fmt: skip


def run(*words, check=True, **environment):
    """Run a command with further environment variables; fails with its output when it fails and `check` is set."""
    known = {name: value for name, value in os.environ.items() if not name.startswith(("STENTOR_", "PYTEST_"))}
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True, text=True, check=False, timeout=600,
        env={**known, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment},
    )  # fmt: skip
    assert not check or done.returncode == 0, f"{words} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


_WARM = """
import gc, importlib, json, os, runpy, sys, traceback
import lhotse, lightning, torch, transformers
from transformers import LlamaForCausalLM, WhisperForConditionalGeneration
import stentor.evaluate, stentor.train
from stentor.cli import main

def carry_out(words):
    sys.argv = words if words[0] == "stentor" else words[1:]
    if words[0] == "stentor":
        return main(words[1:])
    runpy.run_path(words[1], run_name="__main__")
    return 0

gc.freeze()
for line in sys.stdin:
    words, told, added = json.loads(line)
    child = os.fork()
    if child == 0:
        place = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0), os.dup2(place, 1), os.dup2(place, 2)
        code = 1
        sys.path[:0] = added
        importlib.invalidate_caches()
        try:
            code = carry_out(words)
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)  # taking down what the parent imported would cost as much as many a command
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Warm:
    """Runs ``stentor ...`` and ``python FILE`` as forks of one process that has imported what is large.

    Every command has a process of its own, as on a command line, and does not pay for torch's import again.
    """

    def __init__(self, folder, **environment):
        known = {name: value for name, value in os.environ.items() if not name.startswith(("STENTOR_", "PYTEST_"))}
        known |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment}
        self.told, self.added = folder.parent / "told.txt", []
        self.process = subprocess.Popen([sys.executable, "-c", _WARM], cwd=folder, env=known, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip

    def run(self, words):
        """What a command tells; fails with it when the command fails."""
        print(json.dumps([words, str(self.told), self.added]), file=self.process.stdin, flush=True)
        code, said = self.process.stdout.readline(), self.told.read_text()
        assert code == "0\n", f"{words} failed ({code.strip()}):\n{said[-3000:]}"
        return said

    def install(self, folder):
        """``pip install -e`` into an environment of its own, which the commands that follow see."""
        place = folder.parent / "environment"
        install(make_environment(place), folder)
        self.added += [str(folder), *map(str, (place / "lib").glob("python3*/site-packages"))]

    def leave(self):
        self.process.communicate()


def stentor(*words, python=sys.executable, check=True, **environment):
    """Run ``stentor`` with `python`."""
    main = "import sys; from stentor.cli import main; sys.exit(main())"
    return run(python, "-c", main, *words, check=check, **environment)


def pytest_in(python, *folders, **environment):
    """Run pytest on `folders`, without this repository's settings; its closing line."""
    done = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib",
               "--rootdir", folders[0], "-c", "/dev/null", *folders, **environment)  # fmt: skip
    return done.stdout.strip().splitlines()[-1]


def fake_distribution(place, name, version="1.0", *, plugin="", hooks="", **modules):
    """A distribution as pip would have installed it into `place`: metadata, entry point, hook module, modules."""
    module = name.replace("-", "_")
    info = Path(place) / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[stentor]\n{plugin or name} = {module}_hooks\n")
    (Path(place) / f"{module}_hooks.py").write_text(hooks)
    for other, body in modules.items():
        (Path(place) / f"{other}.py").write_text(body)
    return place
