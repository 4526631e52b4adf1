"""The command that checks a world: what it prints, and its exit status."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from marlpipe.commands.check_env.check import NAMES
from marlpipe.envs import payoff
from marlpipe.envs.payoff import PayoffGame
from marlpipe.types import Timestep
from tests.support.command import exit_status

SMALL = ["env=cartpole", "env.n_agents=2", "env.time_limit=5", "--copies=3"]


class Overpaid(PayoffGame):
    """A game whose second copy is paid without bounds."""

    def step(self, state: Any, actions: Tensor, generator: torch.Generator) -> tuple[Any, Timestep]:
        after, timestep = super().step(state, actions, generator)
        timestep.rewards[1:2] = torch.inf
        return after, timestep


class Unplayable(PayoffGame):
    """A game that does not know what comes after an action."""

    def step(self, state: Any, actions: Tensor, generator: torch.Generator) -> tuple[Any, Timestep]:
        raise NotImplementedError("what now?")


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of the command line."""
    return exit_status(monkeypatch, "check_env", *arguments)


def verdicts(out: str) -> dict[str, str]:
    return dict(re.findall(r"^ (\S.*?) {2,}(ok|failed|skipped) *$", out, re.MULTILINE))


def test_a_world_that_keeps_its_promises(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(monkeypatch, *SMALL) == 0
    out, err = capsys.readouterr()
    assert verdicts(out) == dict.fromkeys(NAMES, "ok")
    assert "promises of cartpole" in out
    assert out.endswith(
        "6 episodes of 5 to 5 env steps: 6 terminated, 0 truncated.\nRandom numbers are drawn at resets.\n"
    )
    assert err == ""


def test_a_broken_promise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(payoff, "PayoffGame", Overpaid)
    assert ended(monkeypatch, "env=payoff") == 1
    out, err = capsys.readouterr()
    assert verdicts(out) == dict.fromkeys(NAMES, "ok") | {"numbers are finite": "failed"}
    assert "\nnumbers are finite\n  rewards, env step 1, copy 1: expected finite numbers, came inf at [0]\n" in out
    assert out.endswith("No random numbers are drawn.\n")
    assert err == ""


def test_a_world_that_cannot_be_played(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(payoff, "PayoffGame", Unplayable)
    assert ended(monkeypatch, "env=payoff") == 1
    out, err = capsys.readouterr()
    assert verdicts(out) == dict.fromkeys(NAMES, "skipped") | {"no call raises an exception": "failed"}
    said = " ".join(out.split())  # on however many lines of the terminal
    assert (
        "no call raises an exception step(), env step 1: expected a state and a Timestep for 8 copies, "
        f"came NotImplementedError: what now? ({__file__}:"
    ) in said
    assert said.endswith("skipped: mend this first: no call raises an exception")
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["env=cartpol"], ["env: the option 'cartpol' does not exist. Did you mean 'cartpole'?", "valid: cartpole, "]),
        (["env.n_agent=2"], ["env: the key 'n_agent' does not exist. Did you mean 'n_agents'?"]),
        (["+env.foo=1"], ["env: the key 'foo' does not exist.", "valid: "]),
        (["env.n_agents=0"], ["n_agents=0 is not possible", "from 1 to 1000"]),
        (["--copies=1"], ["--copies=1 is not possible.", "valid: a whole number from 2 to 100000"]),
        (["--episodes=some"], ["--episodes=some is not possible.", "valid: a whole number from 1 to 1000000"]),
        (["seed=-1"], ["seed=-1 is not possible.", "valid: a whole number from 0 to 1048576"]),
        (["--device=abacus"], ["--device=abacus cannot be used: ", "valid: cpu"]),
        (["cartpole"], ["'cartpole' is no override", "valid: key=value"]),
    ],
)
def test_bad_input(
    arguments: list[str], told: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("marlpipe: ")
    assert all(part in err for part in told), err
