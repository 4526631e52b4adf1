"""The Slurm of these tests is a real one: what it does to jobs is what the runs have to survive."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.slurm.cluster import Cluster, ClusterError
from tests.launch.slurm.slurm_conf import NODES

SCRIPT = Path(__file__).with_name("cluster.py")
LONG = (
    "echo start $SLURM_RESTART_COUNT $SLURMD_NODENAME; trap 'echo USR2' USR2; for i in $(seq 1200); do sleep 0.1; done"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a short path."""
    path = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def submit(cluster: Cluster, script: str, output: Path, *options: str) -> str:
    given = ("--parsable", "--open-mode=append", f"--output={output}", *options, f"--wrap={script}")
    return cluster.run("sbatch", *given).strip()


def wait_for(cluster: Cluster, job: str, state: str) -> None:
    cluster.wait_until(lambda: cluster.state(job) == state)


def lines(output: Path) -> list[str]:
    """Without what Slurm itself writes there."""
    written = output.read_text().splitlines() if output.exists() else []
    return [line for line in written if line.startswith(("start", "USR2"))]


def belonging(path: Path) -> list[str]:
    """The commands of all processes on this host that were told of a path, or have it open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            files = [os.path.realpath(file) for file in (process / "fd").iterdir()]
        except OSError:
            continue
        if os.fsencode(path) in told or str(path) in files:
            found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def test_a_job_runs_and_its_output_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, "echo here: $SLURM_JOB_ID", tmp_path / "out")
    wait_for(cluster, job, "COMPLETED")
    assert (tmp_path / "out").read_text() == f"here: {job}\n"
    assert cluster.queue() == []


def test_jobs_on_one_node_get_a_gpu_each(cluster: Cluster, tmp_path: Path) -> None:
    script = "echo $CUDA_VISIBLE_DEVICES; sleep 60"
    jobs = [submit(cluster, script, tmp_path / str(i), "--gpus=1", "--nodelist=n1") for i in range(3)]
    cluster.wait_until(lambda: all((tmp_path / str(i)).exists() and (tmp_path / str(i)).read_text() for i in range(2)))
    assert {(tmp_path / str(i)).read_text() for i in range(2)} == {"0\n", "1\n"}
    assert [cluster.state(job) for job in jobs] == ["RUNNING", "RUNNING", "PENDING"]


def test_an_array(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, "echo $SLURM_ARRAY_TASK_ID; sleep 60", tmp_path / "%a", "--array=0-4%3")
    cluster.wait_until(lambda: [task.state for task in cluster.queue()].count("RUNNING") == 3)
    tasks = {task.id: task for task in cluster.queue()}
    assert tasks.keys() == {f"{job}_{i}" for i in range(5)}
    assert {tasks[f"{job}_{i}"].node for i in range(5)} == {"", tasks[f"{job}_0"].node}
    cluster.wait_until(lambda: all((tmp_path / str(i)).exists() and (tmp_path / str(i)).read_text() for i in range(3)))
    assert [(tmp_path / str(i)).read_text() for i in range(3)] == ["0\n", "1\n", "2\n"]
    cluster.run("scancel", f"{job}_1")
    wait_for(cluster, f"{job}_1", "CANCELLED")
    assert cluster.state(f"{job}_0") == "RUNNING"


def test_a_requeued_job_starts_again(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, LONG, tmp_path / "out", "--nodelist=n2")
    cluster.wait_until(lambda: lines(tmp_path / "out") == ["start n2"])
    cluster.run("scontrol", "requeue", job)
    cluster.wait_until(lambda: lines(tmp_path / "out") == ["start n2", "start 1 n2"])


def test_a_preempted_job_is_warned_then_requeued(cluster: Cluster, tmp_path: Path) -> None:
    job = submit(cluster, LONG, tmp_path / "low", "--exclusive", "--nodelist=n1", "--signal=B:USR2@60")
    cluster.wait_until(lambda: lines(tmp_path / "low") == ["start n1"])
    urgent = submit(cluster, LONG, tmp_path / "high", "--exclusive", "--nodelist=n1", "--partition=high")
    cluster.wait_until(lambda: lines(tmp_path / "low") == ["start n1", "USR2"])
    wait_for(cluster, urgent, "RUNNING")
    wait_for(cluster, job, "PENDING")
    cluster.run("scancel", urgent)
    cluster.wait_until(lambda: lines(tmp_path / "low") == ["start n1", "USR2", "start 1 n1"])


def test_the_jobs_of_a_lost_node_run_again(cluster: Cluster, tmp_path: Path) -> None:
    jobs = [submit(cluster, LONG, tmp_path / node, f"--nodelist={node}") for node in NODES]
    cluster.wait_until(lambda: all(len(lines(tmp_path / node)) == 1 for node in NODES))
    assert all(belonging(tmp_path / node) for node in NODES)
    cluster.kill_node("n1")
    assert belonging(tmp_path / "n1") == []
    assert belonging(tmp_path / "n2")
    assert [cluster.state(job) for job in jobs] == ["RUNNING", "RUNNING"], "the controller cannot know it yet"
    cluster.start_node("n1")
    cluster.wait_until(lambda: lines(tmp_path / "n1") == ["start n1", "start 1 n1"])
    assert lines(tmp_path / "n2") == ["start n2"]
    assert cluster.state(jobs[1]) == "RUNNING"


def test_settings_reach_the_controller(folder: Path) -> None:
    with Cluster(folder, max_array_size=5, cred_expire_s=7, grace_s=3, slurmd_timeout_s=20) as cluster:
        assert cluster.config("MaxArraySize") == "5"
        assert cluster.config("SlurmdTimeout") == "20 sec"
        assert "cred_expire=7" in cluster.config("AuthInfo")
        assert "GraceTime=3 " in cluster.run("scontrol", "show", "partition", "main").replace("\n", " ")
        with pytest.raises(ClusterError, match="Invalid job array specification"):
            submit(cluster, "true", folder / "out", "--array=0-5")
        with pytest.raises(ClusterError, match="no setting Nonsense"):
            cluster.config("Nonsense")
    assert belonging(folder) == []


def test_a_daemon_that_does_not_come_up_shows_its_log_and_the_others_end(folder: Path) -> None:
    with pytest.raises(ClusterError, match=r"slurmctld.* ended by itself\nThe end of [^\n]*\n(.*\n)*.*MaxArraySize"):
        Cluster(folder, max_array_size=-1).__enter__()
    assert belonging(folder) == []


def test_without_the_packages_the_error_is_the_command_that_installs_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(ClusterError, match=r"no sbatch\. Install it with: make test-slurm"):
        Cluster(folder).start()


def test_a_folder_of_somebody_else_is_left_alone(folder: Path) -> None:
    (folder / "theirs").touch()
    with pytest.raises(ClusterError, match="is not empty"):
        Cluster(folder).start()
    with pytest.raises(ClusterError, match="up to 60 letters"):
        Cluster(folder / ("long" * 20)).start()
    assert [path.name for path in folder.iterdir()] == ["theirs"]


@pytest.mark.parametrize("stopped_by", [signal.SIGINT, signal.SIGTERM])
def test_a_person_starts_one_and_stops_it_with_all_that_it_runs(stopped_by: signal.Signals, folder: Path) -> None:
    script = [sys.executable, str(SCRIPT), str(folder)]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        assert said == f"export SLURM_CONF={folder}/etc/slurm.conf"
        stubborn = "trap '' TERM; echo start; for i in $(seq 1200); do sleep 0.1; done"
        subprocess.run(["bash", "-c", f'{said}; sbatch --output={folder}/out --wrap="$0"', stubborn], check=True)
        deadline = time.monotonic() + 30
        while lines(folder / "out") != ["start"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(stopped_by)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert rest == f"Stopped. The logs are in {folder}/log\n"
    assert belonging(folder) == []
