"""Grids on a real Slurm: whatever happens to a job, its run ends done or with a reason, and re-issuing completes it."""

import os
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from marlpipe.commands.drill.verdict import departures
from tests.launch.slurm.cluster import Cluster
from tests.launch.slurm.slurm_conf import NODES
from tests.launch.slurm.submitting import Grid, is_signalled, process_of, trains

SWEPT = ("algo=qpro,wqmix,qmix", "seed=0,1,2", "env_steps=1500")


@pytest.fixture(scope="module")
def here(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Grid:
    """The README's grid, small, trained on this machine."""
    grid = Grid(cluster, tmp_path_factory.mktemp("here"), *SWEPT)
    grid.train_here()
    return grid


def test_the_readmes_grid_survives_nodes_users_and_itself(cluster: Cluster, here: Grid, tmp_path: Path) -> None:
    grid = Grid(cluster, tmp_path / "grid", *SWEPT)
    failing = grid.runs[4]
    (failing.create().best_policy / "in the way").mkdir(parents=True)
    told = grid.submit("hydra.launcher.at_once=4")
    assert "9 jobs of 1 run" in told
    assert "submitted. Their progress: python -m marlpipe status" in told
    assert len({job.partition("_")[0] for job in grid.jobs}) == 1

    grid.wait_until(lambda: bool(trains(grid.runs[:4])))
    cancelled = trains(grid.runs[:4])[0]
    its_job = grid.jobs[grid.runs.index(cancelled)]
    its_node = next(job.node for job in cluster.queue() if job.id == its_job)
    cluster.run("scancel", its_job)
    [node] = set(NODES) - {its_node}
    grid.wait_until(lambda: any(job.node == node and job.state == "RUNNING" for job in cluster.queue()))
    cluster.kill_node(node)
    cluster.start_node(node)
    grid.wait_until_over()

    assert cancelled.status.state == "interrupted"
    assert cancelled.status.reason == "stopped by SIGTERM"
    assert failing.status.state == "failed"
    assert "best.pt: Is a directory" in (failing.status.reason or "")
    others = [run for run in grid.runs if run not in (cancelled, failing)]
    assert [run.status.state for run in others] == ["finished"] * 7
    assert {run.status.host for run in others} != {None}
    assert {run.status.job for run in others} <= set(grid.jobs)

    for path in sorted(failing.best_policy.rglob("*"), reverse=True):
        path.rmdir()
    failing.best_policy.rmdir()
    nodes = ("scontrol", "update", f"nodename={','.join(NODES)}")
    cluster.run(*nodes, "state=drain", "reason=nothing ends before the second submission")
    assert "7 finished, 0 running or queued already, 2 to submit" in grid.submit()
    assert "7 finished, 2 running or queued already, 0 to submit" in grid.submit()
    cluster.run(*nodes, "state=resume")
    grid.wait_until_over()
    assert grid.states == ["finished"] * 9
    for run, whole in zip(grid.runs, here.runs, strict=True):
        assert departures(whole, run) == []


def test_preempted_and_out_of_time_jobs_go_on_where_they_were(cluster: Cluster, tmp_path: Path) -> None:
    """One job loses its node to a more important one, another its time, which no shorter limit than a minute has.

    Both runs are stopped until the cluster's signal reaches them, however fast this machine trains.
    """
    long = ("algo=qmix,vdn", "env_steps=3000")
    grid = Grid(cluster, tmp_path / "grid", *long)
    preempted, timed = grid.runs
    told = grid.submit(
        "hydra.launcher.hours=0.0167",
        "hydra.launcher.grace_s=35",
        "+hydra.launcher.algo.qmix.hours=1",
        "+hydra.launcher.extra.exclusive=true",
    )
    assert told.count("1 job of 1 run") == 2
    for run in grid.runs:
        grid.wait_until(lambda run=run: bool(trains([run])))
        os.kill(process_of(run), signal.SIGSTOP)
    node = {job.id: job.node for job in cluster.queue()}[grid.jobs[0]]
    cluster.run(
        "sbatch", "--partition=high", f"--nodelist={node}", "--exclusive", "--output=/dev/null", "--wrap=sleep 5"
    )
    again = "the cluster starts it again"
    for run in (preempted, timed):
        grid.wait_until(lambda run=run: is_signalled(process_of(run)))
        with suppress(ProcessLookupError):
            os.kill(process_of(run), signal.SIGCONT)
        grid.wait_until(lambda run=run: again in (run.status.reason or ""))
    Grid(cluster, tmp_path / "here", *long).train_here()
    grid.wait_until_over()
    assert grid.states == ["finished"] * 2
    for run, whole in zip(grid.runs, Grid(cluster, tmp_path / "here", *long).runs, strict=True):
        assert departures(whole, run) == []


def test_four_runs_share_one_gpu_and_one_fails_alone(cluster: Cluster, tmp_path: Path) -> None:
    grid = Grid(cluster, tmp_path / "grid", "algo=vdn,qmix", "seed=0,1", "env_steps=400")
    failing = grid.runs[1]
    (failing.create().best_policy / "in the way").mkdir(parents=True)
    settings = ("hydra.launcher.gpus=1", "hydra.launcher.runs_per_job=4", "hydra.launcher.memory_gib=0.9")
    assert "1 job of 4 runs (1 GPU, 4 cores, 3.6 GiB" in grid.submit(*settings)
    assert len(set(grid.jobs)) == 1
    allocated = cluster.run("scontrol", "show", "job", grid.jobs[0])
    assert "gres/gpu=1" in allocated or "gres:gpu:1" in allocated
    grid.wait_until_over()
    assert grid.states == ["finished", "failed", "finished", "finished"]
    assert {run.status.job for run in grid.runs} == set(grid.jobs)
    assert len({run.status.pid for run in grid.runs}) == 4
    assert all("env steps" in run.console.read_text() for run in grid.runs if run is not failing)


def test_arrays_are_cut_below_the_clusters_limit(tmp_path: Path) -> None:
    """A second cluster, which takes three jobs at a time."""
    with (
        tempfile.TemporaryDirectory(prefix="slurm-", dir="/tmp") as short,
        Cluster(Path(short), max_array_size=3) as narrow,
    ):
        grid = Grid(narrow, tmp_path / "grid", "seed=range(0,7)", "env_steps=400")
        grid.submit("hydra.launcher.at_once=1", "+hydra.launcher.extra.begin=now+1hour")
        arrays = [job.partition("_")[0] for job in grid.jobs]
        assert [arrays.count(array) for array in dict.fromkeys(arrays)] == [3, 3, 1]
        assert {job.id for job in narrow.queue()} == set(grid.jobs)
        assert grid.states == ["queued"] * 7
        assert "0 finished, 7 running or queued already, 0 to submit" in grid.submit()
