"""deterministic=true: every algorithm works under it, and comes to the same bits on a CPU."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.training.session import train
from tests.support.cases import ALGOS
from tests.training.test_resume import task


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Lightning sets it for the whole process."""
    yield
    torch.use_deterministic_algorithms(False)


QUICK = ("lomaq_rd", "pac")  # with networks and generators of their own


@pytest.mark.usefixtures("unchecked")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
@pytest.mark.parametrize(
    "algo",
    [pytest.param(*algo.values, marks=[] if algo.values[0] in QUICK else [pytest.mark.slow]) for algo in ALGOS],
)
def test_the_same_bits(algo: str, tmp_path: Path) -> None:
    short = (f"algo={algo}", "env_steps=60", "env.n_agents=2", "evaluation.every_env_steps=1000")
    fingerprints = []
    for deterministic in ("false", "true"):
        train(task(tmp_path / deterministic, *short, f"deterministic={deterministic}"))
        assert torch.are_deterministic_algorithms_enabled() == (deterministic == "true")
        folder = RunFolder(tmp_path / deterministic)
        assert folder.read_metrics()[-1]["gradient_steps"] > 3
        fingerprints.append(read_json(folder.fingerprint))
    assert fingerprints[0] == fingerprints[1]
