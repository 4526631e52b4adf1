"""One Slurm for all tests in this folder. Each test finds it idle."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launch.slurm.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Fails where Slurm is not installed. SIGTERM to pytest ends it too."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Cluster(folder, cred_expire_s=6) as cluster:
            yield cluster
    finally:
        signal.signal(signal.SIGTERM, before)
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _alone(cluster: Cluster) -> Iterator[None]:
    yield
    cluster.reset()
