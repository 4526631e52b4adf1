"""Searches as a person starts, kills and starts them again; and what they must not depend on."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.repository import ROOT

pytest.importorskip("optuna")

import optuna
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from marlpipe.commands.command_line import verbs as cli
from marlpipe.config import search_space as space
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers, run_path
from marlpipe.config.plan import planned_folders
from marlpipe.errors import UserError
from marlpipe.launch.search.search import Searching
from marlpipe.runs.folder import RunFolder

SMALL = (
    *("env=cartpole", "env.n_agents=2", "env.time_limit=40", "env_steps=400", "evaluation.every_env_steps=100"),
    *("evaluation.episodes=4", "profile.batch_episodes=4", "profile.parallel_episodes=2"),
    *("profile.updates_per_rollout=2", "trainer=cpu", "threads=1", "evaluation.films=0", "logger=none"),
)
SEARCH = ("hydra/sweeper=optuna", *SMALL, "profile.optimizer.lr=tag(log, interval(1e-3, 1e-1))", "agent.hidden=8,16")
REAL = ("seed=0,1", "hydra.sweeper.n_trials=4", "hydra.sweeper.trials_at_once=2", "hydra.sweeper.last=2")
PATIENCE_S = 120.0


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    given = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB", "MARLPIPE"))}
    return subprocess.Popen(
        [sys.executable, "-m", "marlpipe", "-m", *SEARCH, *REAL, *arguments],
        cwd=folder,
        env={**given, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A search that was killed in its second half and issued again, and what it printed then."""
    folder = tmp_path_factory.mktemp("survivor")
    journal = folder / "multirun/search/qmix-cartpole/trials.journal"
    process = start(folder)
    deadline = time.monotonic() + PATIENCE_S
    while not (journal.exists() and journal.read_bytes().count(b'"op_code":4,') == 2):  # trials that were added
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"wor')  # as a write that the kill has torn
    again = start(folder)
    out, err = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, out + err
    return folder, out


@pytest.mark.slow
def test_the_objective_is_the_interquartile_mean_of_the_last_evaluations_of_all_seeds(
    survivor: tuple[Path, str],
) -> None:
    folder, out = survivor
    trials = rows_of(folder / "multirun/search/qmix-cartpole/trials.csv")
    assert [row["trial"] for row in trials] == ["1", "2", "3", "4"]
    for row in trials:
        pooled: list[float] = []
        for seed in ("seed=0", "seed=1"):
            rows = RunFolder(folder / row["runs"] / seed).read_metrics()
            last = [one["eval/return_mean"] for one in rows if "eval/return_mean" in one][-2:]
            assert float(row[seed]) == pytest.approx(sum(last) / 2)  # nothing to trim of two
            pooled += last
        assert float(row["objective"]) == pytest.approx(sum(sorted(pooled)[1:3]) / 2)
    best = max(trials, key=lambda row: float(row["objective"]))
    assert f"best so far: {float(best['objective']):.4g}, trial {best['trial']}" in out
    lr, hidden = best["profile.optimizer.lr"], best["agent.hidden"]
    told = [line for line in out.splitlines() if line.startswith("    python -m marlpipe -m ")]
    assert [line.split("logger=none ")[1] for line in told] == [
        f"profile.optimizer.lr={lr} agent.hidden={hidden} seed=2,3,4,5,6"
    ]
    assert (folder / "multirun/search/qmix-cartpole/history.png").stat().st_size > 5_000


@pytest.mark.slow
def test_killed_and_issued_again_it_is_the_search_that_nothing_stopped(
    survivor: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = survivor
    assert "4 trials of 2 seeds, 2 made already" in out
    assert "trial 2 of 4: profile" not in out
    found = rows_of(folder / "multirun/search/qmix-cartpole/trials.csv")
    kept = sorted((folder / "multirun/cartpole").glob("*/*/run.json"))
    written = [path.read_bytes() for path in kept]
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert cli.run(["-m", *SEARCH, *REAL, "hydra.sweeper.name=whole"]) == 0  # it needs no other run than those there
    assert rows_of(folder / "multirun/search/whole/trials.csv") == found
    assert sorted((folder / "multirun/cartpole").glob("*/*/run.json")) == kept
    capsys.readouterr()
    assert cli.run(["-m", *SEARCH, *REAL]) == 0
    told = capsys.readouterr().out
    assert "4 made already" in told
    assert "trial 4 of 4" not in told
    assert "The best of 4 trials" in told
    assert [path.read_bytes() for path in kept] == written


class Trained:
    """Stands for a launcher: runs end at once, with returns that their settings decide; some runs fail."""

    def __init__(self, **settings: Any) -> None:
        given: dict[str, Any] = {
            **{"name": "tried", "folder": "multirun/search", "n_trials": 6, "trials_at_once": 2, "last": 2},
            **{"sampler": lambda seed: TPESampler(seed=seed, n_startup_trials=3), "sampler_seed": 0},
        }
        self.searching = Searching(**{**given, **settings})
        self.runs: list[Sequence[str]] = []
        self.arms: dict[tuple[str, ...], Any] = {}

    def search(self, *overrides: str, batches: int = 100) -> None:
        asked = [*SMALL, "agent.hidden=8,16", "seed=0,1", *overrides]
        register_resolvers()
        with compose_api(config_folder()), closing(self.searching.batches(asked)) as proposed:
            for number, batch in enumerate(proposed):
                if number == batches:
                    return
                for run in batch:
                    self.train(run)

    def train(self, run: Sequence[str]) -> None:
        self.runs.append(run)
        *arm, seed = run
        if tuple(arm) not in self.arms:
            self.arms[tuple(arm)] = compose_run(arm, config_folder())
        config = self.arms[tuple(arm)]
        folder = RunFolder(run_path(config).folder.with_name(seed)).create()
        lr = config.profile.optimizer.lr
        if lr > 0.05:
            folder.update_status(state="failed", reason="the loss is not finite\nmore of that")
            return
        for step in range(3):
            found = -abs(np.log10(lr) + 2.3) - step / (7 + int(seed[-1]))
            folder.append_metrics({"env_steps": step, "eval/return_mean": float("nan") if lr < 1.5e-3 else found})
        folder.update_status(state="finished")


LR = "profile.optimizer.lr=tag(log, interval(1e-3, 1e-1))"


def tried(folder: Path) -> list[dict[str, str]]:
    return rows_of(folder / "multirun/search/tried/trials.csv")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    return tmp_path


@pytest.mark.slow
def test_stopped_anywhere_it_proposes_the_same_trials(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Trained().search(LR)
    monkeypatch.chdir(elsewhere / "stopped")
    Trained().search(LR, batches=0)
    Trained().search(LR, batches=1)
    Trained(n_trials=3).search(LR)  # in the middle of a batch
    Trained().search(LR)
    expected = tried(elsewhere / "whole")
    assert tried(elsewhere / "stopped") == expected
    assert len({row["profile.optimizer.lr"] for row in expected}) == 6
    rates = [float(row["profile.optimizer.lr"]) for row in expected]
    objectives = [float(row["objective"] or "-inf") for row in expected]
    assert 3e-3 < rates[int(np.argmax(objectives))] < 8e-3  # the best there is: 5e-3


def test_failed_runs_are_told_and_the_search_goes_on(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Trained(trials_at_once=1).search("profile.optimizer.lr=1e-3,5e-3,9e-2")
    rows, out = tried(elsewhere / "whole"), capsys.readouterr().out
    reasons = {
        "0.001": "seed=0: its last evaluations are not finite",
        "0.005": "",
        "0.09": "seed=0: the loss is not finite",
    }
    assert [row["failed"] for row in rows] == [reasons[row["profile.optimizer.lr"]] for row in rows]
    assert {row["failed"] for row in rows} == set(reasons.values())
    for row in (row for row in rows if row["failed"]):
        assert f"trial {row['trial']} of 6: failed: {row['failed']}" in out
        assert f"\ntrial {row['trial']} failed: {row['failed']}\n" in out
    folder = elsewhere / "whole/multirun/search/tried"
    storage = JournalStorage(JournalFileBackend(str(folder / "trials.journal")))
    states = [trial.state.name for trial in optuna.load_study(study_name="tried", storage=storage).trials]
    assert states == ["PRUNED" if row["failed"] else "COMPLETE" for row in rows]  # a sampler passes over FAIL


def test_without_its_storage_it_is_made_anew_from_the_runs(elsewhere: Path) -> None:
    Trained(n_trials=3).search("profile.optimizer.lr=5e-3,1e-2")
    before = tried(elsewhere / "whole")
    for file in (elsewhere / "whole/multirun/search/tried").iterdir():
        file.unlink()
    again = Trained(n_trials=3)
    again.search("profile.optimizer.lr=5e-3,1e-2")
    assert (again.runs, tried(elsewhere / "whole")) == ([], before)


def test_values_that_do_not_go_together_are_a_failed_trial(elsewhere: Path) -> None:
    space = ("profile.replay_episodes=16,64", "profile.batch_episodes=4,32", "profile.optimizer.lr=1e-2,2e-2")
    Trained(n_trials=6, trials_at_once=6).search(*space)
    for row in tried(elsewhere / "whole"):
        impossible = (row["profile.replay_episodes"], row["profile.batch_episodes"]) == ("16", "32")
        assert bool(row["failed"]) == impossible
        assert not impossible or row["failed"] == "profile.batch_episodes=32 is more than the replay holds."
    assert any(row["failed"] for row in tried(elsewhere / "whole"))


@pytest.mark.parametrize(
    ("settings", "overrides", "differs"),
    [
        ({}, ["profile.optimizer.lr=interval(1e-3, 1e-1)"], r"space.profile.optimizer.lr: tag\(log, interval"),
        ({"last": 3}, [LR], "last: 2 there, 3 here"),
        ({}, [LR, "seed=0,1,2"], r"seed: \[0, 1\] there, \[0, 1, 2\] here"),
        ({}, [LR, "env.n_agents=3"], "fixed.env.n_agents: 2 there, 3 here"),
    ],
)
def test_another_search_under_the_same_name_is_refused(
    settings: dict[str, Any], overrides: list[str], differs: str, elsewhere: Path
) -> None:
    Trained(n_trials=1).search(LR)
    journal = elsewhere / "whole/multirun/search/tried/trials.journal"
    before = journal.read_bytes()
    with pytest.raises(UserError, match=f"holds another search(.|\n)*{differs}(.|\n)*hydra.sweeper.name=tried_2"):
        Trained(**settings).search(*overrides)
    assert journal.read_bytes() == before


def test_a_file_that_is_no_storage_is_refused(elsewhere: Path) -> None:
    journal = elsewhere / "whole/multirun/search/tried/trials.journal"
    journal.parent.mkdir(parents=True)
    journal.write_text("{}\nnothing\nof the kind\n")
    with pytest.raises(UserError, match=r"trials.journal cannot be read as trials of a search"):
        Trained().search(LR)


def test_an_interrupted_run_ends_the_search_and_is_no_trial(elsewhere: Path) -> None:
    class Interrupting(Trained):
        def train(self, run: Sequence[str]) -> None:
            folder = run_path(compose_run(run, config_folder())).folder
            RunFolder(folder).create().record_end("interrupted", "cancelled")

    with pytest.raises(UserError, match=r"seed=0 is interrupted: cancelled\n.*the same command goes on"):
        Interrupting().search(LR)
    Trained(n_trials=1).search(LR)
    assert len(tried(elsewhere / "whole")) == 1


def test_where_every_trial_fails_it_says_so(elsewhere: Path) -> None:
    with pytest.raises(UserError, match=r"all 2 trials have failed, the first by\n +seed=0: the loss is not finite"):
        Trained(n_trials=2).search("profile.optimizer.lr=interval(0.06, 0.1)")
    assert [row["objective"] for row in tried(elsewhere / "whole")] == ["", ""]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["+hparams_search=optuna"], "a search is many runs\n  next: put -m"),
        (["-m", "+hparams_search=optna"], "hparams_search: the option 'optna' does not exist. Did you mean 'optuna'?"),
        (["-m", "+hparams_search=optuna", "agent.hidden=-3,16"], "nothing was started"),
        (["-m", "+hparams_search=optuna", "hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0 is not possible"),
        (["-m", "+hparams_search=optuna", "+hydra.sweeper.sampler.sed=1"], "hydra.sweeper.sampler: the key 'sed'"),
        (["-m", "+hparams_search=optuna", "hydra.sweeper.threshold=soon"], "hydra.sweeper.threshold"),
        (["-m", "+hparams_search=optuna", "hydra.sweeper.last=99"], "hydra.sweeper.last=99 evaluations are to count"),
        (["-m", "hydra/sweeper=optuna"], "there is nothing to search\n  next: give a space"),
        (
            ["-m", "hydra/sweeper=optuna", "agent.hidden=tag(half, choice(8, 16))"],
            "agent.hidden=tag(half, choice(8, 16)): a",
        ),
        (["-m", "hydra/sweeper=optuna", "agent.hidden=interval(9, 3)"], "agent.hidden=interval(9, 3) holds no value"),
        (
            ["-m", "hydra/sweeper=optuna", "agent.hidden=tag(log, range(0, 9))"],
            "agent.hidden=tag(log, range(0, 9)) has",
        ),
        (["-m", "profile.optimizer.lr=interval(0, 1)"], "profile.optimizer.lr=interval(0, 1): a grid cannot try"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_starts(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(UserError) as refused:
        cli.run([*arguments, *SMALL])
    assert str(refused.value).startswith(told)
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "find_spec", {}.get)
    with pytest.raises(UserError, match=r"pip install 'optuna[<>]"):
        planned_folders(["+hparams_search=optuna"], config_folder(), sweep=True)


def test_an_option_may_only_say_what_to_vary(tmp_path: Path) -> None:
    for file in config_folder().rglob("*.yaml"):
        copy = tmp_path / file.relative_to(config_folder())
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    more = (tmp_path / "hparams_search/optuna.yaml").read_text(encoding="utf-8") + "\nenv_steps: 7\n"
    (tmp_path / "hparams_search/ours.yaml").write_text(more, encoding="utf-8")
    register_resolvers()
    with pytest.raises(UserError, match=r"\+hparams_search=ours sets env_steps in addition to hydra.sweeper"):
        planned_folders(["+hparams_search=ours"], tmp_path, sweep=True)


@pytest.mark.slow
@pytest.mark.parametrize("option", [file.stem for file in (config_folder() / "hparams_search").glob("*.yaml")])
def test_every_option_can_be_searched(option: str) -> None:
    register_resolvers()
    assert planned_folders([f"+hparams_search={option}"], config_folder(), sweep=True) == []


def test_a_command_that_searches_nothing_does_not_load_optuna() -> None:
    loaded = "import hydra.core.plugins as p; p.Plugins.instance(); print('optuna' in sys.modules)"
    told = f"import sys, marlpipe.commands.train; {loaded}"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
