"""What wins over what, what is refused, and what an arm of a grid may know of the others."""

import pytest
from omegaconf import DictConfig, OmegaConf

from marlpipe.config import plan
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.naming import arm_hash, register_resolvers, run_path
from marlpipe.config.plan import expand_sweep, planned_folders
from marlpipe.errors import UserError

FOLDER = config_folder()
OPTIONS = groups(FOLDER)


@pytest.fixture(autouse=True)
def _resolvers() -> None:
    register_resolvers()


def compose(*overrides: str) -> DictConfig:
    with compose_api(FOLDER):
        return compose_run(list(overrides), FOLDER)


GROUPS = [group for group in OPTIONS if "/" not in group and group not in ("hydra", "experiment", "hparams_search")]


@pytest.mark.parametrize("number", range(max(len(OPTIONS[group]) for group in GROUPS)))
def test_every_option_composes(number: int) -> None:
    """Each option of each group once, the first of all groups together, the second, and so on."""
    chosen = {group: OPTIONS[group][number] for group in GROUPS if number < len(OPTIONS[group])}
    extra = ["partition.blocks=[[0,1,2]]"] if chosen.get("partition") == "explicit" else []
    config = compose(*(f"{group}={name}" for group, name in chosen.items()), *extra)
    assert all(config.hydra.runtime.choices[group] == name for group, name in chosen.items())
    assert all(OmegaConf.to_container(config.get(group, config.loss), resolve=True) for group in chosen)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS["experiment"])
def test_every_value_that_an_experiment_sweeps_can_be_built(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value in one arm at least."""

    def few(grid: DictConfig) -> list[list[str]]:
        runs, shown = expand_sweep(grid), set[str]()
        return [run for run in runs if not shown.issuperset(run) and (shown.update(run) or True)]

    monkeypatch.setattr(plan, "expand_sweep", few)
    assert len(planned_folders([f"+experiment={name}"], FOLDER, sweep=True)) > 1


@pytest.mark.usefixtures("first_and_last")
@pytest.mark.parametrize("name", OPTIONS["experiment"])
def test_the_first_and_the_last_run_of_an_experiment_can_be_built(name: str) -> None:
    assert planned_folders([f"+experiment={name}"], FOLDER, sweep=True)


def test_the_preset_selects_parts_and_the_command_line_wins_in_any_order() -> None:
    assert compose("algo=lomaq").partition._target_.endswith("singletons")
    for order in (["algo=lomaq", "partition=full"], ["partition=full", "algo=lomaq"]):
        config = compose(*order)
        assert config.partition._target_.endswith("full")
        assert config.mixer._target_.endswith("MonotoneMixer")


def test_an_experiment_wins_over_the_preset_and_the_command_line_over_the_experiment() -> None:
    config = compose("+experiment=lomaq/fig5_cartpole")
    assert (config.env.n_agents, config.profile.batch_episodes, config.evaluation.episodes) == (15, 50, 20)
    config = compose("+experiment=lomaq/fig5_cartpole", "profile=quick", "env.n_agents=4")
    assert (config.env.n_agents, config.profile.batch_episodes) == (4, 32)


@pytest.mark.slow
def test_the_arms_of_a_grid_share_their_profile() -> None:
    profiles = [OmegaConf.to_container(compose(f"algo={algo}").profile, resolve=True) for algo in OPTIONS["algo"]]
    assert all(profile == profiles[0] for profile in profiles)


def test_no_key_leaks_from_one_arm_into_another() -> None:
    grid = planned_folders(["algo=qpro,qmix,ow_qmix", "seed=1,2"], FOLDER, sweep=True)
    alone = [compose(f"algo={algo}", f"seed={seed}") for algo in ("qpro", "qmix", "ow_qmix") for seed in (1, 2)]
    assert grid == [run_path(config).folder for config in alone]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["algo=qmx"], ["'qmx'", "Did you mean 'qmix'", "lomaq"]),
        (["projection.alpha=0.5"], ["projection", "'alpha'"]),
        (["mixer.embd=8"], ["mixer", "'embd'", "Did you mean 'embed'"]),
        (["+mixer.embd=8"], ["mixer", "'embd'", "Did you mean 'embed'"]),
        (["profle=lomaq"], ["'profle'", "Did you mean 'profile'"]),
        (["env.n_agents=0"], ["env.n_agents=0", "from 1 to"]),
        (["agent.hiden=8"], ["agent: the key 'hiden'", "Did you mean 'hidden'?", "valid:"]),
        (
            ["env._target_=marlpipe.envs.cartpol.CartPole"],
            ["env._target_=marlpipe.envs.cartpol.CartPole leads nowhere"],
        ),
        (["env_steps=0"], ["env_steps=0", "from 1 to"]),
        (["profile.batch_episodes=5000"], ["profile.replay_episodes=1000"]),
        (
            ["profile.parallel_episodes=9", "profile.replay_episodes=8", "profile.batch_episodes=4"],
            ["profile.parallel_episodes=9", "profile.replay_episodes=8"],
        ),
        (
            ["replay=fast", "replay.recent_share=0.5", "replay.recent_episodes=15"],
            ["replay.recent_episodes=15", "replay.recent_share=0.5", "profile.batch_episodes=32", "at least 16"],
        ),
        (["partition=explicit"], ["partition.blocks"]),
        (["partition=explicit", "partition.blocks=[[0,2]]"], ["missing: [1]"]),
        (["partition=explicit", "partition.blocks=[[0,0],[1,2]]"], ["named more than once: [0]"]),
        (["env._target_=marlpipe.envs.cartpole"], ["marlpipe.envs.cartpole is no class or function", "next: mend"]),
        (["env._target_=5"], ["env._target_=5 is no class or function"]),
        (["env._target_={a: 1}"], ["env._target_={'a': 1} is no class or function"]),
        (["+trainer.foo=1"], ["trainer: the key 'foo' does not exist"]),
        (["logger=wandb", "+logger.foo=1"], ["logger: the key 'foo' does not exist"]),
        (["paths.runs=/a/b=c"], ["paths.runs=/a/b=c", """'paths.runs="/a/b=c"'"""]),
        (["algo"], ["key=value"]),
        (["=3"], ["'=3'", "it has no key", "key=value"]),
        (["experiment=games/classic"], ["+experiment=games/classic"]),
        (["seed=x"], ["seed=x", "whole number"]),
        (["evaluation.episodes=1.5"], ["evaluation.episodes=1.5", "whole number"]),
        (["threads=0"], ["threads=0", "null"]),
        (["+foo=1"], ["the config: the key 'foo'", "valid: agent"]),
        (["+profile.foo=1"], ["profile: the key 'foo'"]),
        (["+env._args_=[1]"], ["env: the key '_args_'"]),
        (["~profile.gradient_clip"], ["profile.gradient_clip is missing"]),
        (["~profile.discount"], ["refers to what is not there"]),
        (["~logger"], ["logger is missing"]),
        (["~env"], ["no env is chosen"]),
        (["algo=[qmix,iql]"], ["algo is one option", "-m algo=qmix,iql"]),
        (["algo=null"], ["'null'"]),
        (["seed=0,1"], ["seed=0,1 has several values", "-m"]),
        (["env_steps=${nosuch}"], ["env_steps refers to what is not there"]),
        (["paths.runs=${oc.env:NO_SUCH_VARIABLE}"], ["paths.runs refers to what is not there", "NO_SUCH_VARIABLE"]),
        (["hydra.launcher.processes=2"], ["is for grids"]),
        (["hydra.searchpath=[/no/such/folder]"], ["no folder of configs /no/such/folder"]),
        (["profile.optimizer.lr=-0.1"], ["profile.optimizer.lr=-0.1", "at least 0"]),
        (["algo=qpro", "projection.use_gradient=no"], ["projection.use_gradient=no", "true or false"]),
        (["+trainer.max_time=00:00:00:03"], ["trainer: the key 'max_time'", "a run ends after env_steps"]),
        (["trainer.devices=2"], ["trainer.devices=2", "valid: 1"]),
    ],
)
def test_bad_input_names_itself_and_what_is_valid(overrides: list[str], told: list[str]) -> None:
    with pytest.raises(UserError) as error:
        planned_folders(overrides, FOLDER, sweep=False)
    assert all(part in str(error.value) for part in told), str(error.value)


def test_keys_may_refer_to_other_parts() -> None:
    for words in (["logger=wandb", "logger.project=p-${seed}"], ["threads=${trainer.devices}", "trainer=cpu"]):
        assert planned_folders(words, FOLDER, sweep=False)


def test_a_grid_with_an_impossible_arm_is_refused_whole_and_names_the_arm() -> None:
    with pytest.raises(UserError) as error:
        planned_folders(["algo=vdn,qmix", "monotonicity=abs", "seed=0,1"], FOLDER, sweep=True)
    assert "1 of the grid's 2 arms" in str(error.value)
    assert "algo=vdn monotonicity=abs" in str(error.value)
    assert "algo=qmix" not in str(error.value)


def test_every_seed_of_a_grid_is_checked() -> None:
    with pytest.raises(UserError, match=r"(?s)seed=-1 is not possible.*from 0 to 1048576"):
        planned_folders(["algo=vdn,qmix", "seed=0,-1"], FOLDER, sweep=True)


def test_a_seed_is_named_by_its_value() -> None:
    assert planned_folders(["seed=1_000"], FOLDER, sweep=True)[0].name == "seed=1000"


def test_a_grid_over_a_key_that_one_arm_lacks_is_refused_before_it_starts() -> None:
    with pytest.raises(UserError, match="'alpha'"):
        planned_folders(["algo=ow_qmix,qmix", "projection.alpha=0.1,0.5"], FOLDER, sweep=True)


def test_a_folder_is_named_by_what_determines_the_results() -> None:
    base = compose("algo=qmix", "seed=3")
    assert run_path(base).name.startswith("cartpole/qmix-")
    assert run_path(base).name.endswith("/seed=3")
    assert str(run_path(base).folder).startswith("multirun/")
    same = [
        compose("algo=qmix", *more)
        for more in (["seed=4"], ["logger=none"], ["threads=1"], ["paths.runs=x"], ["evaluation.films=3"])
    ]
    assert {arm_hash(config) for config in same} == {arm_hash(base)}
    other = [compose("algo=qmix", *more) for more in (["env_steps=9"], ["mixer.embed=8"], ["profile.discount=0.9"])]
    assert arm_hash(base) not in {arm_hash(config) for config in other}


def test_how_a_world_is_spread_over_processes_does_not_name_the_folder() -> None:
    alone, spread = (compose("env=simple_spread", f"env.workers={workers}") for workers in (0, 2))
    assert arm_hash(alone) == arm_hash(spread)
    other = [compose("env=simple_spread", *more) for more in (["env.horizon=10"], ["env.rebuild=true"])]
    assert arm_hash(alone) not in {arm_hash(config) for config in other}


def test_a_grid_expands_to_every_combination_once() -> None:
    runs = planned_folders(["algo=qmix,vdn", "seed=0,1,2"], FOLDER, sweep=True)
    assert len(set(runs)) == 6
