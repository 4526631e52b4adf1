"""What all tests share: one thread, and no warning that is about somebody else's code."""

import pytest
import torch

torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    """OmegaConf's classes are built on typing.MutableMapping, of which beartype would warn wherever it checks them."""
    config.addinivalue_line("filterwarnings", "ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning")
