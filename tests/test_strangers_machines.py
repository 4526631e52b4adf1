"""Machines that are not like ours: a small training and its status end without a traceback on each of them."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.runs.folder import RunFolder
from tests.support.repository import ROOT
from tests.support.waiting import PATIENCE_S

SHORT = (
    *("env.n_agents=2", "env.time_limit=10", "env_steps=300", "agent.hidden=8", "trainer=cpu", "threads=1"),
    *("logger=none", "evaluation.films=0", "paths.runs=here"),
)
NOBODY = "12345"  # has no entry in the list of accounts
READS_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")  # the interpreter may be root's own


@dataclass(frozen=True, kw_only=True)
class Machine:
    """variables: None takes one away; {folder} is a folder of the test. shell: behind each command."""

    variables: dict[str, str | None] = field(default_factory=dict)
    shell: str = ""
    inside: tuple[str, ...] = ()  # what each command is put behind
    quick: bool = False


LATIN = {"PYTHONIOENCODING": "latin-1"}
ASCII = {"PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "LC_ALL": "C"}
STRANGER = ("setpriv", f"--reuid={NOBODY}", "--clear-groups", *READS_ALL)
LOCKED = {"HOME": "{folder}/locked"}
MACHINES = {
    "latin-1, stdin and stderr closed": Machine(variables=LATIN, shell="<&- 2>&-", quick=True),
    "ASCII": Machine(variables=ASCII),
    "the strictest ASCII": Machine(variables={**ASCII, "PYTHONIOENCODING": "ascii:strict"}),
    "a dumb and narrow terminal": Machine(variables={"TERM": "dumb", "COLUMNS": "1", "LINES": "1"}),
    "no terminal type": Machine(variables={"TERM": None}),
    "no standard output": Machine(shell=">&-"),
    "no standard streams": Machine(shell="<&- >&- 2>&-"),
    "a script as the standard error": Machine(shell=f"2<{__file__}"),
    "no home": Machine(variables={"HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None}),
    "a home that is not there": Machine(variables={"HOME": "{folder}/nowhere/home"}),
    "no programs, as git": Machine(variables={"PATH": "{folder}/nothing"}),
    "an account without a name or home": Machine(variables={**LOCKED, "USER": None, "LOGNAME": None}, inside=STRANGER),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that everybody may write to, with one that nobody may."""
    (tmp_path / "locked").mkdir(mode=0o555)
    (tmp_path / "work").mkdir()
    (tmp_path / "work").chmod(0o777)
    return tmp_path


def planned() -> Path:
    """The folder of the run, below the one in which it is started."""
    register_resolvers()
    return planned_folders(SHORT, config_folder(), sweep=False)[0]


def ends(machine: Machine, folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit status of a command on a machine, and what it printed."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "MARLPIPE"))}
    environment = given | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    for name, value in machine.variables.items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value.format(folder=folder)
    command = shlex.join([*machine.inside, sys.executable, "-m", "marlpipe", *arguments])
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {command} {machine.shell}"],
        cwd=folder / "work",
        env=environment,
        capture_output=True,
        timeout=PATIENCE_S,
    )
    printed = (done.stdout + done.stderr).decode(errors="replace")
    assert "Traceback" not in printed, printed
    return done.returncode, printed


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if one.quick else pytest.mark.slow) for name, one in MACHINES.items()]
)
def test_a_small_training_and_its_status(name: str, folder: Path) -> None:
    machine = MACHINES[name]
    if machine.inside and (os.geteuid() != 0 or shutil.which(machine.inside[0]) is None):
        pytest.skip("another account needs root and setpriv")
    code, printed = ends(machine, folder, *SHORT)
    run = RunFolder(folder / "work" / planned())
    assert (code, run.status.state) == (0, "finished"), printed
    assert (run.path / "figures" / "table.csv").is_file()
    code, printed = ends(machine, folder, "status", "here")
    assert code == 0, printed
    if ">&-" not in machine.shell.split():
        assert "1 run: 1 finished" in printed


@pytest.mark.slow
def test_a_grid_with_a_long_folder_for_temporary_files(folder: Path) -> None:
    temporary = folder / "work" / ("long" * 25)
    temporary.mkdir()
    machine = Machine(variables={**LATIN, **ASCII, "TMPDIR": str(temporary)}, shell="<&- 2>&-")
    code, printed = ends(machine, folder, "-m", *SHORT[:-1], "seed=0,1")
    assert code == 0, printed
    assert "2 runs: 2 finished" in printed


@pytest.mark.slow
def test_a_run_folder_that_is_a_link(folder: Path) -> None:
    run = folder / "work" / planned()
    run.parent.mkdir(parents=True)
    (folder / "disk").mkdir()
    run.symlink_to(folder / "disk")
    assert ends(Machine(), folder, *SHORT)[0] == 0
    code, printed = ends(Machine(), folder, "status", "here")
    assert (code, "1 run: 1 finished" in printed) == (0, True)
    shutil.rmtree(folder / "disk")
    code, printed = ends(Machine(), folder, *SHORT)
    assert code == 2, printed
    assert str(planned()) in printed


def test_output_that_a_full_disk_refuses(folder: Path) -> None:
    code, printed = ends(Machine(shell=">/dev/full"), folder, "--version")
    assert (code, printed) == (
        2,
        "marlpipe: cannot write the output: No space left on device\n  next: print elsewhere\n",
    )
