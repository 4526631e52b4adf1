"""What is submitted to Slurm, seen in its script: no cluster is needed for that."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from marlpipe.config.folder import config_folder
from marlpipe.config.typed import parse_overrides
from marlpipe.errors import UserError, unknown
from marlpipe.launch.cluster import PlannedRun, job_name, run_name
from marlpipe.launch.cluster_job import Run
from marlpipe.launch.cluster_plan import Array, Resources
from marlpipe.launch.slurm import SlurmLauncher, gpus_asked

SLURM = config_folder() / "hydra" / "launcher" / "slurm.yaml"


def launcher(**changed: Any) -> SlurmLauncher:
    settings: Any = OmegaConf.to_container(OmegaConf.load(SLURM))
    return SlurmLauncher(**{key: settings[key] for key in settings if key not in ("_target_", "launcher")} | changed)


def script(**changed: Any) -> str:
    needed = Resources(gpus=changed.get("gpus", 1), cpus=2, memory_gib=4.0, hours=4.0, runs_per_job=1)
    return launcher(**changed).script(Array(resources=needed, jobs=[[0]]), "cartpole-qmix", Path("/runs/.jobs"))


def test_what_a_job_is_by_default() -> None:
    told = script()
    assert "#SBATCH --job-name=cartpole-qmix\n" in told
    assert "#SBATCH --gpus-per-node=1\n" in told
    assert "wckey" not in told  # some clusters refuse submitit's own
    assert f" {shlex.quote(sys.executable)} -u -m submitit.core._submit /runs/.jobs/%j\n" in told


def test_what_a_site_can_choose() -> None:
    told = script(name="mine", wckey="ours", python="apptainer exec ~/i.sif python", setup=["source ~/env.sh"])
    assert "#SBATCH --job-name=mine\n" in told
    assert "#SBATCH --wckey=ours\n" in told
    assert "\n# setup\nsource ~/env.sh\n" in told
    assert " apptainer exec ~/i.sif python -u -m submitit.core._submit " in told


def test_the_type_of_gpus_replaces_their_number() -> None:
    told = script(gpus=2, extra={"gres": "gpu:a100:2"})
    assert "#SBATCH --gres=gpu:a100:2\n" in told
    assert "gpus-per-node" not in told


@pytest.mark.parametrize(
    ("option", "value", "count"),
    [
        ("gres", "gpu:2", 2),
        ("gres", "gpu", 1),
        ("gres", "gpu:a100", 1),
        ("gres", "gpu:a100:3(S:0-1)", 3),
        ("gres", "shard:7,gpu:a100:1,gpu:v100:2", 3),
        ("gres", "tmpdisk:10", None),
        ("gpus", "2", 2),
        ("gpus-per-node", "a100:2", 2),
        ("gpus_per_task", "a100", 1),
        ("exclusive", "True", None),
    ],
)
def test_gpus_that_an_option_asks_for(option: str, value: str, count: int | None) -> None:
    assert gpus_asked(option, value) == count


def test_gpus_that_no_plan_counts_are_refused() -> None:
    run = OmegaConf.create({"hydra": {"runtime": {"choices": {"env": "cartpole", "algo": "qmix"}}}})
    assert launcher(gpus=2, extra={"gres": "gpu:2"}).needed(run).gpus == 2
    assert launcher(gpus=0, extra={"gres": "tmpdisk:2"}).needed(run).gpus == 0
    with pytest.raises(
        UserError, match=r"(?s)extra\.gres=gpu:2 asks for 2 GPUs.* with 0\..*next: hydra\.launcher\.gpus=2"
    ):
        launcher(gpus=0, extra={"gres": "gpu:2"}).needed(run)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"extra": {"time": "1:00"}}, r"hydra\.launcher\.extra\.time: jobs are planned by hydra\.launcher\.hours"),
        ({"extra": {"cpus_per_task": 3}}, r"extra\.cpus_per_task: jobs are planned by hydra\.launcher\.cpus"),
        ({"name": "two\nlines"}, r"hydra\.launcher\.name cannot be 'two\\nlines'"),
        ({"at_once": 0}, r"hydra\.launcher\.at_once=0 is not possible"),
    ],
)
def test_what_a_launcher_refuses(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        launcher(**changed)


def test_the_words_of_slurm_lead_to_ours() -> None:
    assert "Did you mean 'queue'?" in str(unknown("the key", "partition", ["queue", "qos"]))
    assert "Did you mean" not in str(unknown("the key", "partition", ["qos"]))


def test_the_documented_way_to_give_lines_of_shell() -> None:
    [typed] = re.findall(r'"(hydra\.launcher\.setup=\[.*\])"', SLURM.read_text(encoding="utf-8"))
    [override] = parse_overrides([typed])
    assert override.value() == ["source ~/env.sh", "module load cuda"]


def test_names_of_jobs() -> None:
    need = Resources(gpus=0, cpus=1, memory_gib=1.0, hours=1.0, runs_per_job=1)
    runs = [
        PlannedRun(run=Run(folder=Path("x"), call=b""), name=name, resources=need, preload=())
        for name in ("cartpole-qpro", "cartpole-qmix", "cartpole-qpro")
    ]
    assert job_name(Array(resources=need, jobs=[[0], [2]]), runs) == "cartpole-qpro"
    assert job_name(Array(resources=need, jobs=[[1, 0], [2]]), runs) == "cartpole-qmix+1"
    hydra = {"runtime": {"choices": {"env": "a/b", "algo": "qmix"}}, "job": {"name": "app"}}
    assert run_name(OmegaConf.create({"hydra": hydra})) == "a-b-qmix"
    assert run_name(OmegaConf.create({"hydra": hydra | {"runtime": {"choices": {}}}})) == "app"
