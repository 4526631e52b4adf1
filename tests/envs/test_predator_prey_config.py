"""The configs of Predator-Prey, and what no such world can be made of."""

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from marlpipe.errors import UserError
from tests.envs.hunting import world
from tests.support.composition import compose
from tests.support.repository import CONF

CONFIG = CONF / "env" / "predator_prey.yaml"
PUNISHMENTS = {"predator_prey": 0.0, "predator_prey_p05": -0.5, "predator_prey_p15": -1.5, "predator_prey_p2": -2.0}


def test_the_configs_are_the_default_world_and_its_punishments() -> None:
    default = instantiate(OmegaConf.load(CONFIG))
    assert vars(default) | {"spec": None} == vars(world()) | {"spec": None}
    for name, punishment in PUNISHMENTS.items():
        env = instantiate(compose(f"env={name}").env)
        assert vars(env) | {"spec": None} == vars(world(punishment=punishment)) | {"spec": None}


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("n_agents", 0, "whole number from 1 to 1000"),
        ("n_prey", 0, "whole number from 1 to 1000"),
        ("rows", 0, "whole number from 1 to 1000"),
        ("columns", -1, "whole number from 1 to 1000"),
        ("view", 0, "whole number from 1 to 99"),
        ("view", 4, "odd number"),
        ("time_limit", 0, "whole number from 1 to 1000000"),
        ("catch_threshold", 0, "whole number from 1 to 1000"),
        ("capture_reward", float("nan"), "number from 0 to 1000000"),
        ("capture_reward", -1.0, "number from 0 to 1000000"),
        ("punishment", 2.0, "number from -1000000 to 0"),
        ("punishment", float("-inf"), "number from -1000000 to 0"),
    ],
)
def test_a_bad_value_is_named(name: str, value: float, valid: str) -> None:
    with pytest.raises(
        UserError, match=rf"(?s){name}(={value} is not possible| cannot be {value})\..*valid: an? {valid}.*env\.{name}="
    ):
        world(**{name: value})


def test_too_many_for_the_grid() -> None:
    with pytest.raises(UserError, match=r"(?s)8 predators and 8 prey do not fit on 3 × 5 cells.*= 15\n.*env\.rows"):
        world(rows=3, columns=5)
    world(rows=4, columns=4)
