"""Every key of every option of conf/ refuses what it cannot be, with a message that names it, or is built with it."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from marlpipe.config.check import check_run
from marlpipe.config.compose import resolved
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.keys import check_node, check_parts
from marlpipe.config.schema import RUN
from marlpipe.errors import UserError
from tests.support.composition import compose

WRONG: dict[str, Any] = {
    "word": "no",
    "number": 7.5,
    "list": [1, "a"],
    "mapping": {"a": 1},
    "null": None,
    "NaN": float("nan"),
    "negative": -1,
    "huge": 10**12,
    "vast": 1e300,
}
NO_PARTS = {"algo", "experiment", "hparams_search", "hydra", "trainer", "paths", "profile", "replay", "evaluation"}
OPTIONS = groups(config_folder())
NEEDED = {  # by an option, besides itself
    "explicit": ["partition.blocks=[[0,1,2]]"],
    "pettingzoo": ["env.name=mpe2.simple_spread_v3", "env.workers=0"],
}
MATCHING = {  # the algorithm that a part belongs to
    **{("loss", name): name for name in ("dop", "graphmix", "pac", "qplex", "qtran", "qtran_alt", "resq")},
    ("loss", "weighted_q"): "qpro",
    ("mixer", "builtin"): "qplex",
    ("mixer", "sum"): "vdn",
    ("monotonicity", "none"): "vdn",
    **{("mixer", name): "lomaq" for name in ("lomaq", "lomaq_gcn", "lomaq_hyper")},
    **{("projection", name): "qpro" for name in OPTIONS["projection"] if name != "uniform"},
    **{("reward", name): "lomaq_rd" for name in OPTIONS["reward"] if name.startswith("learned")},
    ("reward", "local"): "lomaq",
    ("partition", "explicit"): "lomaq",
    ("partition", "blocks"): "lomaq",
    ("partition", "pairs"): "lomaq",
    ("partition", "singletons"): "lomaq",
    ("partition", "neighbourhoods"): "lomaq",
    ("partition", "communities"): "lomaq",
    ("monotonicity", "projected"): "lomaq",
    ("monotonicity", "soft"): "lomaq",
    ("monotonicity", "hard"): "lomaq",
}
PARTS = [(group, option) for group in OPTIONS if group.split("/")[0] not in NO_PARTS for option in OPTIONS[group]]
FIRST = dict(reversed(PARTS))
DONE: set[tuple[str, str]] = set()  # classes and their keys, which several options share


def keys(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Each key at and below a node that is no container of its own, with the class that takes it."""
    for key, value in node.items():
        yield f"{path}.{key}", str(node.get("_target_", path))
        if isinstance(value, dict):
            yield from keys(value, f"{path}.{key}")


@cache
def plain(*overrides: str) -> dict[str, Any]:
    return resolved(compose(*overrides))


def changed(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    group, *above = path.split(".")
    config = {**config, group: copy.deepcopy(config[group])}
    node, last = config, group
    for key in above:
        node, last = node[last], key
    node[last] = value
    return config


def refusal(config: dict[str, Any], group: str, *, build: bool = False) -> str | None:
    """What is said of the keys and values of one group, and then by all that builds it; None where all is accepted."""
    try:
        check_node({group: config[group]}, {group: RUN[group]}, "")
        check_parts({group: config[group]}, "")
        if build:
            check_run(DictConfig(config))
    except UserError as error:
        return str(error)
    return None


def accepted(config: dict[str, Any], path: str) -> set[str]:
    """The wrong values that are not refused. What is refused names the key."""
    found = set()
    for name, value in WRONG.items():
        message = refusal(changed(config, path, value), path.split(".")[0])
        assert message is None or path in message, (path, name, message)
        found |= {name} if message is None else set()
    return found


@pytest.mark.parametrize("path", [path for path, _ in keys(RUN, "") if not path.startswith(".trainer._")])
def test_keys_of_no_class(path: str) -> None:
    path = path.removeprefix(".")
    if path == "trainer.detect_anomaly":
        return
    may_be = {"threads": {"null"}, "profile.sequence_steps": {"null"}, "paths.runs": {"word"}}
    large = {"env_steps", "record_every_env_steps", "evaluation.every_env_steps", "profile.target_update_episodes"}
    large |= {"replay.recent_episodes", "profile.epsilon_anneal_env_steps"}
    factors = {"checkpoint_minutes", "profile.gradient_clip", "profile.loss_factor", "profile.central_loss_factor"}
    keeps = may_be.get(path, set())
    keeps |= {"huge"} if path in large else {"number", "huge", "vast"} if path in factors else set()
    assert accepted(plain("algo=vdn", "env=payoff", "agent=feedforward", "logger=none"), path) == keeps


def of_option(group: str, option: str) -> dict[str, Any]:
    """A config with the option, and whatever it needs."""
    algo = MATCHING.get((group, option), "qmix")
    others = [] if group == "logger" else ["logger=none"]
    return plain(f"algo={algo}", f"{group}={option}", *others, *NEEDED.get(option, []))


@pytest.mark.parametrize(
    ("group", "option"),
    [pytest.param(*part, marks=[] if FIRST[part[0]] == part[1] else [pytest.mark.slow]) for part in PARTS],
)
def test_keys_of_classes(group: str, option: str) -> None:
    """A container is never a number, a boolean or a word; NaN is nothing. Other libraries' arguments are theirs."""
    config = of_option(group, option)
    assert refusal(config, group) is None
    for path, _ in keys(config[group], group):
        if ".arguments." in path:
            continue
        value = OmegaConf.select(DictConfig(config), path)
        assert "NaN" not in accepted(config, path)
        if isinstance(value, int | float | str):
            assert accepted(config, path).isdisjoint({"list", "mapping"})
        if isinstance(value, bool):
            assert not accepted(config, path)


@pytest.mark.slow
@pytest.mark.parametrize(("group", "option"), PARTS)
def test_what_is_accepted_is_built_or_refused_by_its_class(group: str, option: str) -> None:
    """But for arguments of other libraries' worlds, which may take any amount of memory."""
    config = of_option(group, option)
    for path, target in keys(config[group], group):
        if ".arguments." not in path and (target, path.split(".")[-1]) not in DONE:
            DONE.add((target, path.split(".")[-1]))
            for name in accepted(config, path):
                message = refusal(changed(config, path, WRONG[name]), group, build=True)
                assert message is None or path.split(".")[-1] in message or group in message, (path, name, message)


def test_booleans_are_never_words() -> None:
    booleans = [
        (config, path)
        for config in (plain("algo=qpro"), plain("algo=lomaq", "logger=wandb"), plain("algo=dop"))
        for group in config
        if isinstance(config[group], dict)
        for path, _ in keys(config[group], group)
        if isinstance(OmegaConf.select(DictConfig(config), path), bool)
    ]
    assert len(booleans) > 30
    for config, path in booleans:
        for word in ("no", "off", "yes", 0, 1):
            assert refusal(changed(config, path, word), path.split(".")[0]), path
