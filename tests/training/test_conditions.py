"""The conditions of a run in its record, and the warning when it resumes under others."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

import marlpipe
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.provenance import cores, versions
from marlpipe.training import conditions
from marlpipe.training.session import train
from tests.support.composition import compose
from tests.training.test_resume import stopping, task

pytestmark = [pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"), pytest.mark.usefixtures("unchecked")]
Capture = pytest.CaptureFixture[str]


def record(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return told


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A run that was stopped after its first evaluations."""
    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, signal.SIGTERM, {9})
        with pytest.raises(KeyboardInterrupt):
            train(task(tmp_path / "seed=0"))
    return tmp_path / "seed=0"


OWN_WORLD = "tests.support.synthetic.RaggedWorld"  # of a package that was never installed


@pytest.mark.parametrize(
    ("overrides", "name", "packages"),
    [
        (["env=payoff"], "marlpipe.envs.payoff.PayoffGame", ["marlpipe"]),
        (["env=simple_spread"], "marlpipe.envs.pettingzoo_worlds.PettingZooWorld", ["marlpipe", "pettingzoo", "mpe2"]),
        (["env=knights_archers_zombies"], None, ["marlpipe", "pettingzoo"]),
        (["env=pettingzoo", "env.name=rich:print"], None, ["marlpipe", "pettingzoo", "rich"]),
        (["env=vmas"], "marlpipe.envs.vmas_worlds.VmasWorld", ["marlpipe", "vmas"]),
        (["env=payoff", f"env._target_={OWN_WORLD}"], OWN_WORLD, ["marlpipe", "tests"]),
    ],
)
def test_where_a_world_comes_from(overrides: list[str], name: str | None, packages: list[str]) -> None:
    told = conditions.environment(compose(*overrides))
    assert name in (None, told["class"])
    installed = versions()
    assert told["packages"] == {package: installed.get(package) for package in packages}
    assert told["packages"]["marlpipe"] == marlpipe.__version__


def test_what_sums_are_rounded_by(monkeypatch: pytest.MonkeyPatch) -> None:
    told = conditions.numerics(compose("threads=3", "trainer=cpu", "deterministic=true"))
    assert told["threads"] == 3
    assert told["device"] == "cpu"
    assert told["deterministic"] is True
    assert told["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    built_with = torch.__config__.show()
    for library, name in (("mkl", "Math Kernel Library Version"), ("mkldnn", "MKL-DNN")):
        assert told[library] is None or f"{name} {'v' if library == 'mkldnn' else ''}{told[library]}" in built_with
    monkeypatch.setenv("MARLPIPE_THREADS", "5")
    assert conditions.numerics(compose("trainer=cpu"))["threads"] == 5
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: torch.device("mps"))
    assert conditions.numerics(compose())["device"] == "mps"
    assert conditions.numerics(compose("trainer=cpu"))["device"] == "cpu"


def test_a_run_knows_its_sessions(stopped: Path, capsys: Capture) -> None:
    reached = torch.load(RunFolder(stopped).last_checkpoint, weights_only=True)["header"]["env_steps"]
    first = record(stopped)
    assert [(entry["from_env_steps"], entry["changed_versions"]) for entry in first["sessions"]] == [(0, {})]
    train(task(stopped))
    both = record(stopped)
    assert [entry["from_env_steps"] for entry in both["sessions"]] == [0, reached]
    assert reached > 0
    assert both["sessions"][0] == first["sessions"][0]
    assert {*both["sessions"][1]} == {
        *("started", "host", "pid", "job", "from_env_steps", "commit", "diff", "changed_versions")
    }
    assert "other conditions" not in capsys.readouterr().err


def test_a_run_that_goes_on_under_other_conditions_says_so(stopped: Path, capsys: Capture) -> None:
    told = record(stopped)
    told["versions"] |= {"torch": "1.13.1", "mine": "3.0.1", "rich": "1.0.0"}
    told["hardware"] |= {"cpu": "Z80", "host": "elsewhere"}
    told["git"] = {"commit": "abc", "dirty": False, "diff": None}
    (stopped / "run.json").write_text(json.dumps(told))
    (stopped / "code.diff").write_text("of then")
    train(task(stopped, "threads=2"))
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert "qmix agent.hidden=8 seed 0 resumes under other conditions than it began" in line
    for changed in ("git.commit abc then", "versions.torch 1.13.1 then", "hardware.cpu Z80 then"):
        assert changed in line
    assert "numerics.threads 1 then, 2 now" in line
    assert "rich" not in line
    assert "host" not in line
    after = record(stopped)
    for key in ("versions", "hardware", "git", "numerics", "environment", "command"):
        assert after[key] == told[key]  # those of the session that began it
    assert {"torch", "rich"} == after["sessions"][1]["changed_versions"].keys()
    assert (stopped / "code.diff").read_text() == "of then"


def test_a_run_that_begins_anew_is_of_today(stopped: Path, capsys: Capture) -> None:
    told = record(stopped)
    (stopped / "run.json").write_text(json.dumps(told | {"versions": {"torch": "1.13.1"}}))
    for checkpoint in (RunFolder(stopped).last_checkpoint, RunFolder(stopped).previous_checkpoint):
        checkpoint.unlink(missing_ok=True)
    train(task(stopped))
    after = record(stopped)
    assert after["versions"] == told["versions"]
    assert [entry["from_env_steps"] for entry in after["sessions"]] == [0, 0]
    assert "other conditions" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("threads", "launcher", "omp", "expected"),
    [
        (3, "5", "7", 3),
        (None, "5", "7", 5),
        (None, None, "7", 7),
        (None, None, "", cores()),
        (None, None, None, cores()),
    ],
)
def test_the_number_of_threads(
    threads: int | None, launcher: str | None, omp: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in (("MARLPIPE_THREADS", launcher), ("OMP_NUM_THREADS", omp)):
        monkeypatch.delenv(variable, raising=False)
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert conditions.threads(OmegaConf.create({"threads": threads})) == expected


@pytest.mark.parametrize("variable", ["MARLPIPE_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("value", ["0", "-1", "2.5", "many", "4,2", "²"])
def test_threads_that_are_no_number(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARLPIPE_THREADS", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=rf"(?s){variable}={value} is not .*valid: a whole number of at least 1"):
        conditions.threads(OmegaConf.create({"threads": None}))
