"""Random command lines of the grammar's pieces: none ends in a traceback, and what runs is what `--cfg job` shows."""

import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from marlpipe.commands import train as training
from marlpipe.commands.command_line import verbs
from marlpipe.errors import UserError
from marlpipe.launch import local
from marlpipe.launch.run_process import Job
from marlpipe.runs.folder import RunFolder
from marlpipe.training import session

KEYS = [
    *("seed", "env_steps", "threads", "compile", "deterministic", "checkpoint_minutes", "env.n_agents", "env.spring"),
    *("env.termination", "env.edge_springs", "agent.hidden", "agent.shared", "agent.gru", "profile.discount"),
    *("profile.optimizer.lr", "profile.optimizer", "profile.returns", "profile.batch_episodes", "mixer.embed"),
    *(
        "loss.reduction",
        "evaluation.films",
        "evaluation.episodes",
        "replay.recent_share",
        "paths.runs",
        "trainer.devices",
    ),
    *(
        "logger.tags",
        "exploration.start",
        "monotonicity.acts_on",
        "partition.blocks",
        "env._target_",
        "agent._partial_",
    ),
    *("nosuch", "env.nosuch", "profile.nosuch.deeper", "trainer.max_time", "env", "profile", "hydra.run.dir", "hydra"),
    *("hydra.launcher.processes", "hydra.launcher.nosuch", "hydra.sweeper.params", "hydra.searchpath", "hydra.mode"),
]
GROUPS = ["algo", "env", "agent", "mixer", "partition", "projection", "monotonicity", "logger", "trainer", "profile"]
GROUPS += ["replay", "loss", "reward", "exploration", "evaluation", "hydra/launcher", "experiment", "nosuch"]
OPTIONS = ["qmix", "vdn", "lomaq", "iql", "payoff", "cartpole", "feedforward", "rnn", "sum", "full", "none", "wandb"]
OPTIONS += ["cpu", "gpu", "quick", "uniform", "abs", "local", "slurm", "games/classic", "qmx", "linear", "default"]
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
    *(
        "${hydra:job.num}",
        "1,2",
        "true,false",
        "a,b",
        "choice(1,2)",
        "choice()",
        "range(0,3)",
        "range(1,2,0)",
        "interval(0,1)",
        "glob(*)",
    ),
    *("glob(q*)", "shuffle(1,2)", "sort(2,1)", "tag(a, choice(1,2))", "int(1.5)", "str(1)", "nosuch(1)", "cast(1)"),
]
FLAGS = [
    "-m",
    "--cfg job",
    "--cfg all",
    "--resolve",
    "--package env",
    "--config-dir /no/such",
    "--config-name x",
    "-x",
    "-r",
]
SMALL = ["env=payoff", "agent=feedforward", "logger=none", "env_steps=64"]


def random_word(draw: random.Random) -> str:
    prefix = draw.choices(["", "+", "++", "~"], [8, 1, 1, 1])[0]
    if draw.random() < 0.35:
        return f"{prefix}{draw.choice(GROUPS)}={','.join(draw.choices(OPTIONS, k=draw.choice([1, 1, 1, 2])))}"
    word = f"{prefix}{draw.choice(KEYS)}"
    return word if prefix == "~" and draw.random() < 0.7 else f"{word}={draw.choice(VALUES)}"


def random_command(draw: random.Random) -> list[str]:
    """Small and valid, but for one to three words, and now and then with a flag."""
    words = [
        *SMALL[: draw.randrange(len(SMALL) + 1)],
        *(random_word(draw) for _ in range(draw.choice([1, 1, 1, 2, 3]))),
    ]
    if draw.random() < 0.4:
        words.insert(draw.randrange(len(words) + 1), draw.choice(FLAGS))
    return [part for word in words for part in (word.split(" ") if word in FLAGS else [word])]


class Trained:
    """Stands in for training alone: what it was asked to train."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.configs: list[DictConfig] = []
        monkeypatch.setattr(session, "train", self.configs.append)
        monkeypatch.setattr(local, "RunPool", lambda **_: None)
        monkeypatch.setattr(local, "_run", self.finish)
        monkeypatch.setattr(training, "conclude", lambda *_, **__: 0)

    def finish(self, _: object, jobs: Sequence[Job], __: Path) -> list[None]:
        for job in jobs:
            RunFolder(job.folder).update_status(state="finished")
        return [None] * len(jobs)

    def by(self, words: Sequence[str]) -> DictConfig | None:
        """The config of the run that a command trains; None where it is refused, or prints, or is a grid."""
        self.configs.clear()
        with suppress(UserError, SystemExit):
            verbs.run(words)
        return self.configs[0] if self.configs else None


@pytest.mark.parametrize("first", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(40, 400, 40))])
def test_no_traceback_and_what_runs_is_what_is_shown(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    check(range(first, first + 40), tmp_path, monkeypatch, capsys)


def check(seeds: range, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    trained = Trained(monkeypatch)
    for seed in seeds:
        words = random_command(random.Random(seed))
        try:
            config = trained.by(words)
            if config is not None:
                capsys.readouterr()
                assert verbs.run(["--cfg", "job", *words]) == 0
                assert shown(capsys) == task(config)
        except Exception as error:
            pytest.fail(f"seed {seed}: {words}: {type(error).__name__}: {error}")


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    return OmegaConf.to_container(OmegaConf.create(capsys.readouterr().out))


def task(config: DictConfig) -> Any:
    return {key: part for key, part in OmegaConf.to_container(config).items() if key != "hydra"}
