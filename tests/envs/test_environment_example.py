"""The page on environments: its example does what the page says, and what can be checked is what it lists."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from torch import Tensor

from marlpipe import envs
from marlpipe.commands.check_env.check import NAMES
from marlpipe.config import folder
from marlpipe.config.build import build_algorithm, build_env
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.envs.rendering.draw import pixels
from marlpipe.envs.scene import Scenic
from marlpipe.training.rollout import rollout
from tests.support.command import verb
from tests.support.composition import loss_of
from tests.support.repository import DOCS

PAGE = (DOCS / "environments.md").read_text(encoding="utf-8")
CHECKS = re.findall(r"^    (?:python -m )?marlpipe check_env (.+)$", PAGE, re.MULTILINE)
[TRAINING] = re.findall(r"`python -m marlpipe (env=[^`]+)`", PAGE)


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The config folder after somebody has followed the page, whose module can be imported from its place."""
    world, scene = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    imports, method = scene.split("\n\n    def scene", 1)
    [config] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    [module] = re.findall(r"`marlpipe/envs/(\w+)\.py`:", PAGE)
    [option] = re.findall(r"`conf/env/(\w+)\.yaml`:", PAGE)
    written = ModuleType(f"marlpipe.envs.{module}")
    monkeypatch.setitem(sys.modules, written.__name__, written)
    monkeypatch.setattr(envs, module, written, raising=False)  # as an import does
    code = f"{imports}\n{world}\n    def scene{method}"
    exec(compile(code, f"{module}.py", "exec"), written.__dict__)
    shutil.copytree(config_folder(), tmp_path, dirs_exist_ok=True)
    (tmp_path / "env" / f"{option}.yaml").write_text(config, encoding="utf-8")
    register_resolvers()
    return tmp_path


def config(conf: Path, command: str) -> DictConfig:
    with compose_api(conf):
        return compose_run(shlex.split(command), conf)


def test_the_example_keeps_all_promises(
    conf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(folder, "config_folder", lambda: conf)
    assert verb("check_env")(shlex.split(CHECKS[0])) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r" ok +\n", out)) == len(NAMES)
    assert "Random numbers are drawn at resets." in out


@pytest.mark.parametrize("command", CHECKS[1:])
def test_the_other_worlds_that_are_checked_exist(command: str) -> None:
    register_resolvers()
    assert build_env(config(config_folder(), command)).spec.n_agents > 1


def test_an_algorithm_learns_from_the_example(conf: Path) -> None:
    torch.manual_seed(0)
    run = config(conf, TRAINING)
    env = build_env(run)
    algorithm = build_algorithm(run, env)
    batch = rollout(env, algorithm.agent, 32, 1.0, torch.Generator().manual_seed(0))
    optimizer = instantiate(run.profile.optimizer)(algorithm.parameters())
    losses = []
    for _ in range(5):
        loss, _ = loss_of(algorithm, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def steps_to_meet(env: Any, places: list[int], policy: Any) -> int:
    state = type(env.reset(1, torch.Generator()))(torch.tensor([places]), torch.zeros(1).long())
    for step in range(1, env.time_limit + 1):
        state, timestep = env.step(state, policy(state.places), torch.Generator())
        assert timestep.rewards.sum() == -1
        if timestep.terminated:
            return step
    assert timestep.truncated
    return step


def test_the_highest_return_is_the_one_in_the_yaml(conf: Path) -> None:
    """Both go the short way, and where they would swap only the first one goes."""
    env: Any = build_env(config(conf, "env=rendezvous"))

    def best(places: Tensor) -> Tensor:
        ahead = int(places[0, 1] - places[0, 0]) % 8
        first, second = (2, 0) if ahead <= 4 else (0, 2)
        return torch.tensor([[first, 1 if ahead in (1, 7) else second]])

    steps = [steps_to_meet(env, [0, ahead], best) for ahead in range(1, 8)]
    assert steps == [1, 1, 2, 2, 2, 1, 1]
    assert "Highest return on 8 places: −10/7" in PAGE
    assert sum(steps) == 10
    assert steps_to_meet(env, [0, 1], lambda places: torch.where(places == places.min(), 2, 0)) == 20  # they swap


def test_the_example_can_be_looked_at(conf: Path) -> None:
    env: Any = build_env(config(conf, "env=rendezvous"))
    state = env.reset(3, torch.Generator().manual_seed(0))
    assert isinstance(env, Scenic)
    one, other = (pixels(env.scene(state, copy)) for copy in (0, 1))
    assert one.shape == other.shape
    assert (one != other).any()
    navy = (one == (0, 0, 128)).all(2)
    orange = (one == (255, 165, 0)).all(2)
    assert navy.sum() > orange.sum() > 0


def test_the_page_lists_the_promises() -> None:
    [table] = re.findall(r"\| promise \| that is \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)
    assert tuple(row.split("|")[1].strip() for row in table.splitlines()) == NAMES
