"""A wheel is all that a user of the package needs: from any folder, without the checkout."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from marlpipe.runs.folder import RunFolder
from tests.support.repository import ROOT


@pytest.mark.slow
def test_the_wheel_works_from_another_folder(tmp_path: Path) -> None:
    """It carries conf/ and the launcher, shows its help, trains, and every metric it writes is in docs/metrics.md."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built, installed, elsewhere = tmp_path / "dist", tmp_path / "installed", tmp_path / "elsewhere"
    elsewhere.mkdir()
    offline = ["--no-deps", "--no-index"]
    build = [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(built), str(ROOT)]
    subprocess.run(build, check=True, timeout=120)
    [wheel] = built.glob("marlpipe-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = [f"marlpipe/conf/{file.relative_to(ROOT / 'conf')}" for file in (ROOT / "conf").rglob("*.yaml")]
    assert names >= {*expected, "marlpipe/launch/local.py", "marlpipe/commands/train.py"}
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "multirun/"))]

    subprocess.run([*pip, "install", *offline, "--target", str(installed), str(wheel)], check=True, timeout=120)
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}

    def marlpipe(*arguments: str) -> str:
        command = [sys.executable, "-m", "marlpipe", *arguments]
        return subprocess.run(
            command, cwd=elsewhere, env=environment, check=True, timeout=300, text=True, stdout=subprocess.PIPE
        ).stdout

    assert re.search(r"^algo:\n(  .*\n)*  qpro ", marlpipe("--help"), re.MULTILINE)
    marlpipe("algo=qpro", "env=payoff", "env_steps=64", "threads=1", "logger=none")
    [folder] = elsewhere.glob("multirun/payoff/qpro-*/seed=0")
    recorded = {name for row in RunFolder(folder).read_metrics() for name in row}
    documented = set(re.findall(r"`([\w/]+)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))
    assert recorded <= documented
