"""What all tests share: one thread, a Ctrl-C that arrives, and no warning that is about somebody else's code."""

import logging
import signal
from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from omegaconf import DictConfig

torch.set_num_threads(1)

# A script's background jobs ignore SIGINT, and so does every process that they start. Runs that tests start do not.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """OmegaConf's classes are built on typing.MutableMapping, of which beartype would warn wherever it checks them."""
    config.addinivalue_line("filterwarnings", "ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning")


@pytest.fixture(autouse=True)
def _no_handler_of_logs_stays() -> Iterator[None]:
    """Hydra's handlers print to the test's own standard output, which is closed after it."""
    before = list(logging.root.handlers)
    yield
    for handler in [one for one in logging.root.handlers if type(one) is logging.StreamHandler and one not in before]:
        logging.root.removeHandler(handler)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Without checks of shapes and types, which take half the time of tests that train for long: others check that."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture
def first_and_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every grid, the planner composes and builds the first run and the last only."""
    from marlpipe.config import plan  # after jaxtyping, which checks what is imported from now on

    expand_sweep = plan.expand_sweep

    def ends(grid: DictConfig) -> list[list[str]]:
        runs = expand_sweep(grid)
        return runs[:1] + runs[1:][-1:]

    monkeypatch.setattr(plan, "expand_sweep", ends)
