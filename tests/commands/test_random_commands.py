"""Random command lines of the grammar's pieces: none ends in a traceback, and what runs is what `--cfg job` shows."""

import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pytest
from omegaconf import DictConfig, OmegaConf

from marlpipe.commands import train as training
from marlpipe.commands.command_line import verbs
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.naming import overrides_of
from marlpipe.errors import UserError
from marlpipe.launch import local
from marlpipe.launch.run_process import Job
from marlpipe.runs.folder import RunFolder
from marlpipe.training import session

GOOD = {  # words that a small run takes
    "seed": ["1", "1,2", "range(0,3)", "choice(4,5)", "1_0", "int(3.0)", "shuffle(1,2)"],
    "env_steps": ["32", "64,96", "1_00", "int(64)"],
    "threads": ["1", "null", "2"],
    "deterministic": ["true", "False", "TRUE"],
    "checkpoint_minutes": ["0", "0.5", "1e3", "1e-3"],
    "record_every_env_steps": ["10", "1_000", "${env_steps}"],
    "agent.hidden": ["8", "16,32", "${env_steps}"],
    "agent.shared": ["true", "false", "true,false"],
    "profile.discount": ["0.5", "1", "0", "1e-1", "interval(0,1)"],
    "profile.optimizer.lr": ["1e-3", "0.01", "1e-4,1e-3", "0"],
    "profile.gradient_clip": ["0", "1", "5.5"],
    "profile.batch_episodes": ["4", "${profile.parallel_episodes}"],
    "profile.parallel_episodes": ["2", "tag(a, choice(1,2))"],
    "profile.updates_per_rollout": ["1", "sort(2,1)"],
    "profile.epsilon_start": ["0.3", "${profile.epsilon_end}"],
    "loss.reduction": ["mean", "'sum'", "sum,mean"],
    "evaluation.films": ["0", "1"],
    "evaluation.episodes": ["1", "2", "${threads}"],
    "replay.recent_share": ["0", "0.5", "1"],
    "replay.recent_episodes": ["8", "32,64"],
    "paths.runs": ["out", "'a b'", "'läufe'", "名前", '"a;b"', "~/out", "out/${seed}", "./out"],
    "hydra.launcher.processes": ["1", "2", "null", "1,2"],
    "monotonicity.project_biases": ["true", "false"],
}
KEYS = [
    *GOOD,
    *("compile", "env.n_agents", "env.spring", "env.termination", "env.edge_springs", "agent.gru", "profile.optimizer"),
    *("profile.returns", "mixer.embed", "trainer.devices", "logger.tags", "exploration.start", "monotonicity.acts_on"),
    *("partition.blocks", "env._target_", "agent._partial_", "nosuch", "env.nosuch", "profile.nosuch.deeper"),
    *("trainer.max_time", "env", "profile", "hydra.run.dir", "hydra", "hydra.launcher.nosuch", "hydra.sweeper.params"),
    *("hydra.searchpath", "hydra.mode"),
]
ALL = groups(config_folder())
GROUPS = {
    **{group: ALL[group] for group in ALL if not {*group.split("/")} & {"hydra", "experiment", "hparams_search"}},
    "+experiment": ALL["experiment"],
    "hydra/launcher": ["local", "slurm", "submitit_local"],
    "nosuch": ["none"],
}
PATTERNS = [
    "glob(q*)",
    "glob(*)",
    "glob(iq*)",
    "glob([qv]*,exclude=qtran*)",
    "glob(x*)",
    "qmx",
    "[qmix,vdn]",
    "null",
    "''",
]
VALUES = [
    *("0", "1", "2", "8", "-1", "0.5", "1e-3", "1e30", "1e400", "nan", "inf", "-inf", "true", "no", "null", "1_000"),
    *(
        "word",
        "a b",
        "''",
        '""',
        '"a"',
        "'a,b'",
        "a\\,b",
        "läufe",
        "名前",
        "a=b",
        "a#b",
        "a;b",
        "a:b",
        "~/x",
        "???",
        "",
    ),
    *("[1,2]", "[]", "[a,[b]]", "{}", "{a: 1}", "{_target_: builtins.int}", "[", "{", "(", "'", '"', "$", "${"),
    *(
        "${seed}",
        "${nosuch}",
        "${oc.env:HOME}",
        "${oc.env:NO_SUCH_NAME}",
        "${env.n_agents}",
        "${.x}",
        "${hydra:job.num}",
    ),
    *("${hydra:job.num}", "1,2", "true,false", "a,b", "choice(1,2)", "choice()", "range(0,3)", "range(1,2,0)"),
    *("interval(0,1)", "glob(*)", "glob(q*)", "shuffle(1,2)", "sort(2,1)", "tag(a, choice(1,2))", "int(1.5)"),
    *("", "str(1)", "nosuch(1)", "cast(1)"),
]
FLAGS = [
    *("-m", "--multirun", "--cfg job", "--cfg all", "-c job", "--resolve", "--package env", "--info defaults"),
    *("--config-dir /no/such", "--config-name x", "-x", "-r"),
]
SMALL = ["env=payoff", "agent=feedforward", "logger=none", "env_steps=64"]


def random_word(draw: random.Random) -> str:
    """Good two times in three, by itself."""
    good = draw.random() < 0.67
    prefix = "" if good else draw.choice(["", "", "+", "++", "~"])
    if draw.random() < 0.35:
        group = draw.choice(list(GROUPS))
        options = draw.choices(GROUPS[group] if good else PATTERNS, k=draw.choice([1, 1, 1, 2]))
        return f"{prefix}{group}={','.join(options)}"
    key = draw.choice(list(GOOD) if good else KEYS)
    return f"{prefix}{key}" if prefix == "~" else f"{prefix}{key}={draw.choice(GOOD[key] if good else VALUES)}"


def random_command(draw: random.Random) -> list[str]:
    """Small, one to four words, and now and then two seeds or a flag, anywhere."""
    words = [*SMALL, *(random_word(draw) for _ in range(draw.choice([1, 1, 2, 3, 4])))]
    if draw.random() < 0.25:
        words.append("seed=3,4")
    if draw.random() < 0.3:
        words.append(draw.choice(FLAGS))
    if any(sign in word for word in words for sign in ",(") and draw.random() < 0.8:
        words.append("-m")
    draw.shuffle(words)
    return [part for word in words for part in (word.split(" ") if word in FLAGS else [word])]


CONFIGS: list[DictConfig] = []  # of what was asked to train


def record(config: DictConfig) -> None:
    """Stands in for training, alone."""
    CONFIGS.append(config)


class Trained:
    """What a command was asked to train, in a single run or a grid."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(session, "train", record)
        monkeypatch.setattr(local, "RunPool", lambda **_: None)
        monkeypatch.setattr(local, "_run", self.finish)
        monkeypatch.setattr(training, "conclude", lambda *_, **__: 0)

    def finish(self, _: object, jobs: Sequence[Job], __: Path) -> list[None]:
        CONFIGS.extend(cloudpickle.loads(job.call)[1] for job in jobs)
        for job in jobs:
            RunFolder(job.folder).update_status(state="finished")
        return [None] * len(jobs)

    def by(self, words: Sequence[str]) -> list[DictConfig]:
        """The configs of the runs that a command trains; none where it is refused, or prints."""
        CONFIGS.clear()
        with suppress(UserError, SystemExit):
            verbs.run(words)
        return [*CONFIGS]


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(20, 120, 20))])
def test_no_traceback_and_what_runs_is_what_is_shown(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    trained = Trained(monkeypatch)
    for seed in range(first, first + 20):
        words = random_command(random.Random(seed))
        try:
            for config in trained.by(words)[:2]:
                capsys.readouterr()
                assert verbs.run(["--cfg", "job", *overrides(config, words)]) == 0
                assert shown(capsys) == task(config)
        except Exception as error:
            pytest.fail(f"seed {seed}: {words}: {type(error).__name__}: {error}")


def overrides(config: DictConfig, words: Sequence[str]) -> Sequence[str]:
    """Of one run: those of a grid's job, else what was typed."""
    return overrides_of(config.hydra, "task") if "hydra" in config else words


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    return OmegaConf.to_container(OmegaConf.create(capsys.readouterr().out))


def task(config: DictConfig) -> Any:
    return {key: part for key, part in OmegaConf.to_container(config).items() if key != "hydra"}
