"""Copies of PettingZoo's worlds in processes of their own: the same results, and no trouble when something ends."""

import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from marlpipe.envs.pettingzoo_workers import MESSAGE_S, Workers, workers_that_pay
from marlpipe.errors import UserError
from marlpipe.types import EpisodeBatch
from tests.envs.company import Company
from tests.envs.playing import generator, random_episodes, same, world
from tests.support.waiting import wait_until


@pytest.mark.parametrize("name", ["mpe2.simple_spread_v3", "tests.envs.company:Company"])
def test_results_do_not_depend_on_the_workers(name: str) -> None:
    def episodes(workers: int) -> list[EpisodeBatch]:
        env, random = world(name, workers=workers, horizon=4), generator(5)
        return [random_episodes(env, n, random) for n in (5, 2, 7)]

    alone = episodes(0)
    assert len(alone[2].state[:, 0].unique(dim=0)) == 7
    for workers in (1, 3):
        for ours, theirs in zip(alone, episodes(workers), strict=True):
            assert same(ours, theirs)


ROOF = r"Company failed in step\(\) of copy 3 at env step 2: RuntimeError: the roof fell in.*company.py"
EXIT = "tests.envs.company:Company ended its process, with exit status 7, in one of the copies 1, 3.*env.workers=0"


@pytest.mark.parametrize(
    ("workers", "trouble", "complaint"),
    [(0, "the roof fell in", ROOF), (2, "the roof fell in", ROOF), (2, "exit", EXIT)],
)
def test_a_world_that_fails_is_named_with_its_reason(workers: int, trouble: str, complaint: str) -> None:
    env, actions = world(arguments={"trouble": trouble}, workers=workers), torch.tensor([[0, 0, 1]] * 3 + [[1, 0, 1]])
    state, _ = env.step(env.reset(4, generator()), actions, generator())
    with pytest.raises(UserError, match=f"(?s){complaint}"):
        env.step(state, actions, generator())
    with pytest.raises(UserError, match="has gone on since"):  # some copies have been stepped, some not
        env.step(state, actions, generator())
    assert env.reset(4, generator()).obs[:, 0, 1].tolist() == [1, 1, 1, 1]  # new copies


def test_an_interruption_leaves_no_answers_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a Ctrl-C while workers answer, nothing of what they still had to say is taken for something else."""
    env, actions = world(workers=2), torch.tensor([[1, 0, 1]] * 2)
    state = env.reset(2, generator())

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Workers, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            env.step(state, actions, generator())
    state = env.reset(2, generator())
    assert state.obs[:, 0, :2].tolist() == [[0, 1], [0, 1]]
    assert env.step(state, actions, generator())[0].obs[:, 0, 0].tolist() == [1, 1]


def gone(process: int) -> bool:
    """Whether it has ended; one that nobody has waited for is a zombie."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return True


def test_workers_heed_no_signals_and_end_with_their_owner() -> None:
    env = world(workers=2)
    state = env.reset(2, generator())
    assert isinstance(env._copies, Workers)
    processes = [process.pid for process in env._copies.processes]
    for process in processes:
        assert os.getsid(process) == process, "a Ctrl-C in our terminal must not reach it"
        os.kill(process, signal.SIGTERM)
        os.kill(process, signal.SIGINT)
    env.step(state, torch.tensor([[0, 0, 1]] * 2), generator())
    del env
    gc.collect()
    assert all(gone(process) for process in processes)


def test_workers_end_when_their_owner_is_killed() -> None:
    script = (
        "import time; from tests.envs.playing import generator, world\n"
        "env = world(workers=2); env.reset(2, generator())\n"
        "print(*(p.pid for p in env._copies.processes), flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    owner = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        processes = [int(word) for word in owner.stdout.readline().split()]
        owner.kill()
        assert len(processes) == 2
        wait_until(lambda: all(gone(process) for process in processes), "the end of its workers")
        assert owner.stderr is not None
        assert owner.stderr.read() == ""


@pytest.mark.parametrize(
    ("n", "threads", "messages_per_step", "count"),
    [
        (8, 1, 1000, 0),  # no other core
        (1, 4, 1000, 0),  # nothing to share
        (8, 2, 1, 2),  # 4 steps are saved, and 2 messages sent
        (8, 2, 0.4, 0),  # 1.6 messages' time is saved, and 2 messages sent
        (3, 8, 1000, 3),
        (5, 4, 1.5, 4),  # 3 steps are saved, as one worker has two copies, and 4 messages sent
        (5, 4, 1.2, 0),
    ],
)
def test_workers_that_pay(n: int, threads: int, messages_per_step: float, count: int) -> None:
    assert workers_that_pay(n=n, threads=threads, step_s=messages_per_step * MESSAGE_S) == count


def test_auto_takes_a_worker_for_each_thread_where_steps_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_step(self: Company, actions: dict[str, int]) -> Any:
        time.sleep(0.002)
        return fast_step(self, actions)

    fast_step = Company.step
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(Company, "step", slow_step)
    slow = world(workers="auto")
    slow.reset(4, generator())
    assert isinstance(slow._copies, Workers)
    assert slow._copies.count == 2
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    alone = world(workers="auto")
    alone.reset(4, generator())
    assert not isinstance(alone._copies, Workers)
