"""`stentor doctor`: what it finds, and what it mends."""

import shutil
import sys
import types
from collections import namedtuple
from pathlib import Path

import pytest

from stentor import cli, plugins
from stentor.cli import checkup
from stentor.errors import StentorError
from stentor.plugins import Failure, Plugins
from stentor.registry import Origin


def states(findings) -> list[str]:
    return [finding.state for finding in findings]


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """An environment with a CPU torch and a torchaudio whose libraries want CUDA."""
    for package in ("torch", "torchaudio"):
        (tmp_path / package / "lib").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError('imported')")
    for name in ("_torchaudio.so", "libtorchaudio.so"):
        (tmp_path / "torchaudio" / "lib" / name).write_bytes(b"\x7fELF...libcudart.so.13\x00libtorch_cuda.so\x00")
    (tmp_path / "torchaudio" / "lib" / "plain.so").write_bytes(b"\x7fELF...libc.so.6\x00")
    monkeypatch.setattr(checkup, "file_of", lambda module: str(tmp_path / module / "__init__.py"))
    return tmp_path


def test_torchaudio_for_cuda_beside_a_cpu_torch_is_mended(site: Path) -> None:
    (finding,) = checkup.torchaudio()
    assert finding.state == "broken"
    assert finding.fix is not None
    assert finding.fix() == "removed 2 CUDA libraries of torchaudio"
    assert [path.name for path in (site / "torchaudio" / "lib").iterdir()] == ["plain.so"]
    assert states(checkup.torchaudio()) == ["fine"]
    assert finding.fix() == "removed 2 CUDA libraries of torchaudio"


def test_torchaudio_for_cuda_beside_a_cuda_torch_stays(site: Path) -> None:
    (site / "torch" / "lib" / "libtorch_cuda.so").write_bytes(b"")
    assert states(checkup.torchaudio()) == ["fine"]


def test_no_torchaudio_is_no_finding(monkeypatch) -> None:
    monkeypatch.setattr(checkup, "file_of", lambda module: "")
    assert list(checkup.torchaudio()) == []


def fake_torch(capability: str, threads: int = 1) -> types.SimpleNamespace:
    cpu = types.SimpleNamespace(get_cpu_capability=lambda: capability)
    cuda = types.SimpleNamespace(is_available=lambda: False)
    backends = types.SimpleNamespace(cpu=cpu)
    return types.SimpleNamespace(__version__="9.9", get_num_threads=lambda: threads, backends=backends, cuda=cuda)


@pytest.mark.parametrize(("capability", "warns"), [("AVX2", True), ("DEFAULT", True), ("AVX512", False)])
def test_a_processor_without_bf16_units_is_told(monkeypatch, capability: str, warns: bool) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(capability))
    found = [finding for finding in checkup.torch() if "bf16" in finding.what]
    assert bool(found) == warns


def test_more_threads_than_cores(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch("AVX512", threads=10_000))
    assert "OMP_NUM_THREADS" in next(finding.mend for finding in checkup.torch() if finding.state == "warning")


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_a_library_that_does_not_import_is_broken(monkeypatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    (finding,) = getattr(checkup, name)()
    assert finding.state == "broken"
    assert "pip install" in finding.mend


def test_plugins_that_failed_are_broken(monkeypatch) -> None:
    failed = Plugins(failures=[Failure(Origin("bad", "stentor-bad", "2.0"), StentorError("it broke."))])
    monkeypatch.setattr(checkup, "installed", lambda: failed)
    (finding,) = checkup.plugins()
    assert (finding.state, "stentor-bad 2.0" in finding.what) == ("broken", True)
    assert "pip uninstall stentor-bad" in finding.mend


def test_a_full_disk(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 5))
    assert states(checkup.disk()) == ["warning", "warning"]


def test_a_folder_that_cannot_be_written_to(monkeypatch, tmp_path) -> None:
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkup.tempfile, "NamedTemporaryFile", refuse)
    assert "cannot be written to: Permission denied" in next(iter(checkup.disk())).what


def test_extras_say_how_to_install_what_is_absent(monkeypatch) -> None:
    monkeypatch.setattr(checkup, "installed", lambda: Plugins(loaded=[plugins.CORE]))
    monkeypatch.setattr(checkup, "requires", lambda name: ["torch>=2", 'pytest>=8; extra == "testing"',
                                                           'no-such-dist>=1; extra == "dreams"'])  # fmt: skip
    found = {finding.what: (finding.state, finding.mend) for finding in checkup.extras()}
    assert found == {
        "extra 'dreams' of stentor (lacks no-such-dist)": ("absent", "pip install 'stentor[dreams]'"),
        "extra 'testing' of stentor": ("fine", ""),
    }


def test_the_whole_visit(capsys, monkeypatch) -> None:
    monkeypatch.setattr(checkup, "torchaudio", lambda: iter(()))
    code = cli.main(["doctor", "--fix"])
    text = capsys.readouterr().out
    assert text.startswith("mended   nothing")
    assert "torch " in text
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in text
    assert (code, text.rstrip().endswith("ready")) in ((0, True), (1, False))
