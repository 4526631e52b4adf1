"""A glob is the options that it matches, and a GPU that is not there is refused before anything runs."""

import pytest
import torch

from marlpipe.config.check import check_device
from marlpipe.config.folder import config_folder
from marlpipe.config.naming import register_resolvers
from marlpipe.config.plan import planned_folders
from marlpipe.errors import UserError
from tests.support.composition import compose


def test_a_glob_is_what_it_matches() -> None:
    register_resolvers()
    small = ["env.n_agents=2", "logger=none"]
    globbed = planned_folders([*small, "algo=glob(iq*)"], config_folder(), sweep=True)
    assert globbed == planned_folders([*small, "algo=iql,iql_local"], config_folder(), sweep=True)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"^trainer\.accelerator=gpu is not possible: torch finds no GPU"):
        check_device(compose("trainer=gpu"))
