"""Environments of an outside developer: a fresh one on top of this, or fake distributions on a path."""

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
