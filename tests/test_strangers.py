"""A run folder from a stranger: whatever is in it, it is refused by name, and nothing of it is executed."""

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from marlpipe.analysis.evaluated_runs import load_run
from marlpipe.analysis.report.report import report
from marlpipe.commands.diff_config.sides import of_run
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder, groups
from marlpipe.config.naming import register_resolvers
from marlpipe.config.stored import read_config, stored_config
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.identity import identity
from marlpipe.runs.links import check_enclosed
from marlpipe.runs.status import Status, status_from
from marlpipe.runs.text import printable
from marlpipe.training.session import train
from tests.support.command import exit_status, verb
from tests.training.test_resume import task

Config = dict[str, Any]
Capture = pytest.CaptureFixture[str]
evaluate = verb("evaluate")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("runs") / "cartpole" / "vdn-12345678" / "seed=0"
    train(task(folder, "algo=vdn", "env_steps=120"))
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> RunFolder:
    """A copy of it, to poison."""
    return RunFolder(shutil.copytree(trained, tmp_path / "runs" / "cartpole" / "vdn-12345678" / "seed=0"))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that is there if a poison has worked."""
    return tmp_path / "executed"


def command(verb: str, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit status of a command line."""
    return exit_status(monkeypatch, verb, *arguments)


def poisoned(folder: RunFolder, poison: Callable[[Config], object]) -> None:
    """Changes the config of a run."""
    config = OmegaConf.to_container(OmegaConf.load(folder.config))
    assert isinstance(config, dict)
    changed: Config = {str(key): value for key, value in config.items()}
    poison(changed)
    folder.config.write_text(OmegaConf.to_yaml(OmegaConf.create(changed)))


def rewritten(path: Path, **changes: Any) -> None:
    """Other values in a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def at(config: Config, place: str, value: Any) -> None:
    """Puts a value where dots say."""
    *parents, last = place.split(".")
    for key in parents:
        config = config[key]
    config[last] = value


SAVE = {"obj": [1], "f": "{marker}"}  # what torch.save writes, and where
NODES = {  # each writes the marker when it is built
    "torch.save": {"_target_": "torch.save", **SAVE},
    "marlpipe.training.checkpoints.torch.save": {"_target_": "marlpipe.training.checkpoints.torch.save", **SAVE},
    "torch.nn.modules.rnn.torch.save": {"_target_": "torch.nn.modules.rnn.torch.save", **SAVE},
    "marlpipe.training.checkpoints.os.mkdir": {
        "_target_": "marlpipe.training.checkpoints.os.mkdir",
        "path": "{marker}",
    },
    "hydra.utils.call": {"_target_": "hydra.utils.call", "config": {"_target_": "torch.save", **SAVE}},
    "shutil.copyfile": {"_target_": "shutil.copyfile", "src": "{here}", "dst": "{marker}"},
    "positional": {"_target_": "torch.save", "_args_": [[1], "{marker}"]},
}
PLACES = ("env", "agent", "loss", "agent.gru", "env.n_agents", "profile.optimizer", "loss.next_actions", "mixer")


def filled(node: Any, marker: Path) -> Any:
    text = json.dumps(node).replace("{marker}", str(marker)).replace("{here}", __file__)
    return json.loads(text)


@pytest.mark.parametrize("name", NODES)
def test_the_poisons_work(name: str, marker: Path) -> None:
    instantiate(filled(NODES[name], marker))
    assert marker.exists()


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("place", PLACES)
def test_a_target_that_would_be_executed(name: str, place: str, folder: RunFolder, marker: Path) -> None:
    node = filled(NODES[name], marker)
    poisoned(folder, lambda config: at(config, place, node))
    key = "_args_" if name == "positional" else "_target_"
    with pytest.raises(UserError, match=rf"(?s)config\.yaml: {place}\.{key} is .*executed.*next: ") as told:
        evaluate([folder.path, "--episodes=1"])
    assert node[key] in str(told.value) if key == "_target_" else str(marker)[:20] in str(told.value)
    assert not marker.exists()


def test_the_command_ends_with_2_and_the_name(
    folder: RunFolder, marker: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """`os.system`, which Hydra knows too, is refused before Hydra sees it."""
    poisoned(folder, lambda config: at(config, "env", {"_target_": "os.system", "command": f"touch {marker}"}))
    assert command("evaluate", monkeypatch, folder.path) == 2
    out, error = capsys.readouterr()
    assert error.startswith(f"marlpipe: {folder.config}: env._target_ is 'os.system', which may be anyone's code")
    assert "Traceback" not in error
    assert out == ""
    assert not marker.exists()


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("env.n_agents", [[{"a": {"_target_": "torch.save"}}]], r"env\.n_agents\.0\.0\.a\._target_ is 'torch\.save'"),
        ("env._target_", 3, r"env\._target_ is 3"),
        ("env._target_", ["os", "system"], r"env\._target_ is \['os'"),
        ("agent._target_", "marlpipe.runs.files.write_text", r"agent\._target_ is 'marlpipe\.runs\.files"),
        ("agent._target_", "marlpipe.wandb.sink.open_wandb", r"agent\._target_ is 'marlpipe\.wandb\.sink"),
        ("agent._target_", "marlpipe.envs.pettingzoo_import.imported", r"agent\._target_ is "),
        ("agent._target_", "marlpipe.algos.targets.Tensor", r"agent\._target_ is "),  # imported there, not its own
        ("agent._target_", "torch.nn.utils.clip_grad_norm_", r"agent\._target_ is "),
        ("agent._target_", "torch.nn.functional", r"agent\._target_ is "),
        ("agent._target_", "torch.nn.Parameter", r"agent\._target_ is "),  # a class, but of no module
        ("agent._target_", "torch.optim.lr_scheduler.LambdaLR", r"agent\._target_ is "),
        ("agent._target_", "marlpipe.launch.local.LocalLauncher", r"agent\._target_ is "),
        ("loss.next_actions.path", "os.system", r"loss\.next_actions\.path is 'os\.system'"),
        ("loss.next_actions.path", "hydra.utils.get_method", r"loss\.next_actions\.path is 'hydra"),
        ("loss.next_actions.path", None, r"loss\.next_actions\.path is None"),
        ("loss.next_actions", {"_target_": "hydra.utils.get_method"}, r"loss\.next_actions\.path is None"),
        ("loss.next_actions._args_", ["os.system"], r"loss\.next_actions\._args_ is "),
        *(
            ("loss.next_actions._target_", f"hydra.utils.{name}", rf"next_actions\._target_ is 'hydra\.utils\.{name}'")
            for name in ("get_class", "get_object", "get_static_method", "call", "instantiate")
        ),
    ],
)
def test_other_ways_to_code(place: str, value: Any, told: str, folder: RunFolder) -> None:
    poisoned(folder, lambda config: at(config, place, value))
    with pytest.raises(UserError, match=told):
        stored_config(folder)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("mpe2.simple_spread_v3", True),
        ("pettingzoo.sisl.pursuit_v5", True),
        ("sisl/pursuit-v5", True),
        ("os:system", False),
        ("mpe2.simple_spread_v3:os", False),
        ("antigravity", False),
        ("mpe2._mpe_utils/../../x", False),
        ("../x", False),
        (["os"], False),
        (None, False),
    ],
)
@pytest.mark.parametrize("place", ["env", "mixer"])
def test_worlds_that_are_imported_by_name(place: str, name: Any, allowed: bool, folder: RunFolder) -> None:
    world = {"_target_": "marlpipe.envs.pettingzoo_worlds.PettingZooWorld", "name": name, "arguments": None}
    poisoned(folder, lambda config: at(config, place, world))
    if allowed:
        assert stored_config(folder)[place].name == name
    else:
        with pytest.raises(UserError, match=rf"config\.yaml: {place}\.name is "):
            stored_config(folder)


def test_a_world_in_a_file_outside(folder: RunFolder, tmp_path: Path, marker: Path) -> None:
    pytest.importorskip("vmas")
    (tmp_path / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()")
    for scenario in (str(tmp_path / "evil"), os.path.relpath(tmp_path / "evil"), "evil", 3):
        world = {
            "_target_": "marlpipe.envs.vmas_worlds.VmasWorld",
            **{"scenario": scenario, "arguments": None, "horizon": 5},
            **{"local_rewards": False, "time_limit_is_terminal": False},
        }
        poisoned(folder, lambda config, world=world: at(config, "env", world))  # type: ignore[misc]
        with pytest.raises(UserError, match=r"the scenario '.*' does not exist|scenario=3 violates"):
            evaluate([folder.path])
    assert not marker.exists()


@pytest.mark.parametrize("module", ["evaluate", "diff_config"])
@pytest.mark.parametrize("place", ["env.time_limit", "label"])
def test_no_secret_of_the_environment_is_looked_up(
    module: str, place: str, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    poisoned(folder, lambda config: at(config, place, "${oc.env:SECRET}"))
    arguments = [folder.path] if module.endswith("evaluate") else [folder.path, "algo=vdn"]
    assert command(module, monkeypatch, *arguments) == 2
    out, error = capsys.readouterr()
    assert f"{folder.config}: {place} refers to another value, '${{oc.env:SECRET}}'" in error
    assert "hunter2" not in out + error


@pytest.mark.parametrize(
    "text",
    [
        *("", "hello", "[1, 2]", "3", "a: {", "\0", "&a [*a]", "env: !!python/object/apply:os.system ['true']"),
        *("env: &a {b: *a}", "a: " + "[" * 5000, "env: " + "9" * 5000, "env: 2026-01-01\n? [1]\n: 2"),
        *("env: !!binary aGk=", "env: {? !!binary aGk= : 1}", "env: {}\nagent: ${", "env: 1"),
    ],
)
@pytest.mark.parametrize("module", ["evaluate", "diff_config"])
def test_a_config_that_is_none(
    module: str, text: str, folder: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    folder.config.write_text(text)
    arguments = [folder.path] if module.endswith("evaluate") else [folder.path, "algo=vdn"]
    ends = command(module, monkeypatch, *arguments)
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if (module, text) == ("diff_config", "env: 1"):
        assert ends == 0  # to be looked at, it is as good as any
    else:
        assert ends == 2
        assert str(folder.config) in error


@pytest.mark.parametrize("episodes", [0, -1, "many", None, 10**12, [1]])
def test_a_number_of_episodes_that_is_none(episodes: Any, folder: RunFolder) -> None:
    poisoned(folder, lambda config: at(config, "evaluation.episodes", episodes))
    with pytest.raises(UserError, match=r"config\.yaml: evaluation\.episodes cannot be "):
        evaluate([folder.path])


DOCUMENTED = [  # alternatives that the documents name
    ["env=vmas"],
    ["env=pettingzoo", "env.name=sisl/pursuit-v5"],
    ["agent.gru._target_=torch.nn.GRU"],
    ["profile.optimizer._target_=torch.optim.AdamW", "logger=wandb"],
    ["algo=resq", "loss.residual.path=marlpipe.algos.resq.raw"],
    ["loss.next_actions.path=marlpipe.algos.targets.target_greedy_actions"],
    ["algo=graphmix", "loss.alive.path=marlpipe.algos.graphmix.observing_or_able_to_act"],
    ["algo=lomaq", "mixer.sharing.path=marlpipe.models.mixers.reading.private_groups"],
    ["algo=lomaq_rd", "reward.sets._target_=marlpipe.algos.rewards.sets.neighbourhood_sets"],
    ["algo=lomaq_rd", "reward.model.misfit.path=marlpipe.algos.rewards.losses.squared_error"],
]
OPTIONS = groups(config_folder())
PRESETS = [[f"algo={name}"] for name in OPTIONS["algo"]] + [[f"+experiment={name}"] for name in OPTIONS["experiment"]]


@pytest.mark.parametrize("typed", [DOCUMENTED, pytest.param(PRESETS, marks=pytest.mark.slow)], ids=["docs", "presets"])
def test_every_config_of_ours_is_taken(typed: list[list[str]], tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    register_resolvers()
    for words in typed:
        with compose_api(config_folder()):
            config = compose_run(words, config_folder())
        config = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        folder.config.write_text(OmegaConf.to_yaml(config, resolve=True))
        assert stored_config(folder) == config, words


def test_to_look_at_a_config_builds_nothing(
    folder: RunFolder, marker: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    poisoned(folder, lambda config: at(config, "env", filled(NODES["torch.save"], marker)))
    assert read_config(folder).env._target_ == "torch.save"
    assert command("diff_config", monkeypatch, folder.path, "algo=vdn") == 0
    assert "torch.save" in capsys.readouterr().out
    assert not marker.exists()


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def test_the_bomb_works(marker: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(marker)))
    assert marker.exists()


@pytest.mark.parametrize("kind", ["pickle", "new pickle", "zip"])
def test_a_pickle_in_place_of_a_policy(
    kind: str, folder: RunFolder, marker: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    path = folder.best_policy
    if kind == "zip":
        torch.save({"agent": Bomb(marker), "return_mean": 1.0}, path)
    else:
        path.write_bytes(pickle.dumps(Bomb(marker), protocol=2 if kind == "pickle" else 5))
    assert command("evaluate", monkeypatch, folder.path) == 2
    error = capsys.readouterr().err
    assert f"{path} does not hold the network of config.yaml: it is no whole file of tensors" in error
    assert "nothing of it was executed" in error
    assert kind == "new pickle" or "for it asks for posix.mkdir" in error  # torch cannot tell of new ones
    assert "weights_only" not in error  # torch's own advice would let it run
    assert "Traceback" not in error
    assert not marker.exists()


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ({"agent": 3}, "no tensors by name under 'agent'"),
        ({"agent": {"x": 3}, "return_mean": 1.0}, "no tensors by name"),
        ({"agent": {1: torch.zeros(1)}, "return_mean": 1.0}, "no tensors by name"),
        ([1, 2], "no tensors by name"),
        (torch.zeros(3), "no tensors by name"),
        ({"agent": {}}, "its 'return_mean' is no number"),
        ({"agent": {}, "return_mean": "high"}, "its 'return_mean' is no number"),
        ({"agent": {}, "return_mean": 1.0}, "Missing key"),
        ({"agent": {"x": torch.zeros(1)}, "return_mean": 1.0}, "Unexpected key"),
    ],
)
def test_tensors_of_another_shape(stored: Any, told: str, folder: RunFolder) -> None:
    torch.save(stored, folder.best_policy)
    with pytest.raises(UserError, match=rf"(?s)best\.pt does not hold the network of config\.yaml: .*{told}"):
        evaluate([folder.path])


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02.", b"PK\x03\x04", b"\x80\x02}q\x00.", b"\x80\x04h\x05."])
def test_bytes_that_are_no_policy(content: bytes, folder: RunFolder) -> None:
    folder.best_policy.write_bytes(content)
    with pytest.raises(UserError, match=r"best\.pt does not hold the network of config\.yaml"):
        evaluate([folder.path])


LINKED = ["config.yaml", "metrics.jsonl", "status.json", "run.json", "checkpoints", "checkpoints/best.pt"]
LINKED += ["evaluation", "figures", "wandb", "anything"]


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("there", [True, False])
def test_a_link_that_leads_out(
    there: bool, name: str, folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    link, outside = folder.path / name, tmp_path / "outside"
    if link.exists():
        shutil.move(link, outside)
    elif there:
        outside.mkdir()
    if not there:
        shutil.rmtree(outside) if outside.is_dir() else outside.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(outside, link.parent) if there else outside)
    before = sorted(tmp_path.rglob("*"))
    for module, arguments, status in (
        ("evaluate", [folder.path], 2),
        ("diff_config", [folder.path, "algo=vdn"], 2),
        ("report", [folder.path, "--out", tmp_path], 2),
    ):
        assert command(module, monkeypatch, *arguments) == status
        error = capsys.readouterr().err
        missing = not there and name in ("config.yaml", "checkpoints", "checkpoints/best.pt")
        if not missing or module == "report":  # else the file is not there, which is as good an answer
            assert f"{link} is a link that leads out of {folder.path}, to {outside}: nothing there was" in error
        assert "Traceback" not in error
    assert sorted(tmp_path.rglob("*")) == before


def test_links_that_stay_inside(folder: RunFolder, tmp_path: Path) -> None:
    (folder.wandb / "run-1").mkdir(parents=True, exist_ok=True)
    (folder.wandb / "latest-run").symlink_to("run-1")
    (folder.wandb / "run-1" / "debug-core.log").symlink_to(tmp_path)  # as W&B does: its own log lies in the home folder
    (folder.wandb / "gone").symlink_to("run-0")
    (folder.wandb / "itself").symlink_to("itself")
    (folder.path / "up").symlink_to(folder.path)
    (tmp_path / "link").symlink_to(folder.path)
    check_enclosed(folder.path)
    check_enclosed(tmp_path / "link")
    assert evaluate([tmp_path / "link", "--episodes=1"]) == 0


def test_a_report_is_not_written_through_a_link(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    above, outside = folder.path.parents[2], tmp_path / "outside"
    outside.mkdir()
    (above / "report").symlink_to(outside)
    assert command("report", monkeypatch, above) == 2
    assert "report is a link that leads out" in capsys.readouterr().err
    (above / "report").unlink()
    (above / "report").mkdir()
    (above / "report" / "cartpole.png").symlink_to(outside / "precious.png")
    assert command("report", monkeypatch, above) == 2
    assert "cartpole.png is a link that leads out" in capsys.readouterr().err
    assert list(outside.iterdir()) == []


BAD_RECORDS = [
    ([], "holds no JSON object"),
    ("x", "holds no JSON object"),
    ({"label": 3}, "label cannot be 3"),
    ({"seed": "../../x"}, r"seed cannot be '../../x'"),
    ({"seed": True}, "seed cannot be True"),
    ({"seed": 10**400}, "seed cannot be 1000"),
    ({"choices": []}, r"choices cannot be \[\]"),
    ({"choices": {"env": 3}}, "choices cannot be"),
    ({"overrides": "seed=3"}, "overrides cannot be"),
    ({"overrides": [3]}, "overrides cannot be"),
    ({"arm": {}}, "arm cannot be"),
    ({"git": "x"}, "git cannot be 'x'"),
    ({"versions": []}, "versions cannot be"),
    ({"hardware": 1}, "hardware cannot be 1"),
]


@pytest.mark.parametrize(("changes", "told"), BAD_RECORDS)
def test_a_record_of_wrong_types(changes: Any, told: str, folder: RunFolder, tmp_path: Path) -> None:
    if isinstance(changes, dict):
        rewritten(folder.run, **changes)
    else:
        folder.run.write_text(json.dumps(changes))
    for act in (
        lambda: identity(folder),
        lambda: of_run(folder.path),
        lambda: report([folder.path], tmp_path / "out"),
    ):
        with pytest.raises(UserError, match=rf"run\.json.*{told}"):
            act()
    assert not (tmp_path / "out").exists()


BAD_STATUS = [
    ([], "holds no JSON object"),
    ({"env_steps": "abc"}, "env_steps cannot be 'abc'"),
    ({"env_steps": None}, "env_steps cannot be None"),
    ({"env_steps": 1.5}, "env_steps cannot be 1.5"),
    ({"pid": True}, "pid cannot be True"),
    ({"state": "glorious"}, "(?s)state cannot be 'glorious'.*valid: queued, running"),
    ({"state": []}, r"state cannot be \[\]"),
    ({"wall_s": "1"}, "(?s)wall_s cannot be '1'.*valid: a number or null"),
    ({"wall_s": float("nan")}, "wall_s cannot be nan"),
    ({"eta_s": 10**400}, "eta_s cannot be 1000"),
    ({"reason": 3}, "reason cannot be 3"),
]


@pytest.mark.parametrize(("stored", "told"), BAD_STATUS)
def test_a_status_of_wrong_types(stored: Any, told: str, folder: RunFolder) -> None:
    with pytest.raises(UserError, match=told):
        status_from(stored, folder.status_file)
    folder.status_file.write_text(json.dumps(stored))
    with pytest.raises(UserError, match=rf"status\.json.*{told.removeprefix('(?s)')}" if "valid" not in told else told):
        load_run(folder.path)


def test_a_status_of_right_types(folder: RunFolder) -> None:
    stored = json.loads(folder.status_file.read_text())
    assert status_from(stored, folder.status_file) == folder.status
    assert status_from(None, folder.status_file) == Status()
    assert status_from({"reason": "a\x1b[2Jb\nc", "mood": "bad"}, folder.status_file) == Status(reason="a[2Jb\nc")


@pytest.mark.parametrize(
    "line",
    [
        *("3", "[]", '"x"', "{", '{"env_steps": [1], "eval/return_mean": 1}', '{"env_steps": {}}'),
        *('{"env_steps": "abc", "eval/return_mean": 1}', '{"eval/return_mean": 1}', '{"env_steps": 1e999'),
        *('{"env_steps": 1e999, "eval/return_mean": 1}', '{"env_steps": -1, "eval/return_mean": 1}'),
        *('{"env_steps": 1e300, "eval/return_mean": 1}', '{"env_steps": ' + "9" * 400 + ', "eval/return_mean": 1}'),
        *('{"a": ' + "[" * 100_000, '{"a": ' + "9" * 5000 + "}", '{"env_steps": null, "eval/return_mean": 1}'),
    ],
)
def test_metrics_of_wrong_types(line: str, folder: RunFolder, tmp_path: Path) -> None:
    folder.metrics.write_text(line + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl"):
        report([folder.path], tmp_path / "out")


def test_an_evaluation_on_record_at_no_env_step(folder: RunFolder, capsys: Capture) -> None:
    [best] = {torch.load(folder.best_policy, weights_only=True)["return_mean"]}
    folder.metrics.write_text(f'{{"eval/return_mean": {best}, "env_steps": null}}\n')
    assert evaluate([folder.path, "--episodes=1"]) == 0
    assert "best evaluation, at nan env steps" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of numpy, for sums that overflow
@pytest.mark.parametrize("value", ["1e308", "-1e308", "1e999", "null"])
def test_returns_beyond_any_number(value: str, folder: RunFolder, tmp_path: Path) -> None:
    steps = (0, 1, 2**60)
    rows = [f'{{"env_steps": {step}, "eval/return_mean": {value}, "eval/optimum_found": {value}}}' for step in steps]
    folder.metrics.write_text("\n".join([*rows, ""]))
    try:
        report([folder.path], tmp_path / "out")
    except UserError as error:
        assert re.match(rf"(?s)the records of one of these runs cannot be drawn: .*{folder.path}", str(error))  # noqa: PT017
    assert (tmp_path / "out" / "table.csv").exists()


@pytest.mark.parametrize(
    "row",
    [
        {"eval/learned_table": [[1, 2]]},
        {"eval/learned_table": [[1, 2], [3]], "eval/true_table": [[1, 2], [3, 4]]},
        {"train/projection_weights": 3},
        {"decomposition/rewards": 1},
        {"decomposition/rewards": [[[1]]], "decomposition/sets": [[7]], "decomposition/predicted": [[1]]},
    ],
)
def test_tables_of_wrong_shapes(row: Config, folder: RunFolder, tmp_path: Path) -> None:
    folder.tables.write_text(json.dumps({"env_steps": 1, **row}) + "\n")
    with pytest.raises(UserError, match=rf"(?s)cannot be drawn: .*{folder.path}.*tables\.jsonl"):
        report([folder.path], tmp_path / "out")


@pytest.mark.parametrize("name", ["run.json", "status.json"])
@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000, b'{"seed": ' + b"9" * 5000 + b"}", b"{"])
def test_json_that_is_none(name: str, content: bytes, folder: RunFolder) -> None:
    (folder.path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name} is not valid JSON"):
        load_run(folder.path)


NASTY = "[red]a[/red] [/] [link=x] $\\foo$ \x1b[2J\x1b]0;title\x07 \u202egpj \ud800 ../../x"


def test_names_that_would_do_something(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """Shown as they are, less what cannot be seen; and no part of a path."""
    record = json.loads(folder.run.read_text())
    choices = record["choices"] | {"env": f"../../../etc/{NASTY}", "algo": NASTY, "agent": NASTY}
    rewritten(folder.run, label=NASTY, choices=choices, overrides=[f"x={NASTY}"], arm=NASTY, command=NASTY)
    rewritten(folder.status_file, state="failed", reason=NASTY, host=NASTY)
    outside = sorted(path for path in tmp_path.rglob("*"))
    out = tmp_path / "below" / "out"
    assert command("report", monkeypatch, folder.path, "--out", out) == 0
    assert command("diff_config", monkeypatch, folder.path, "algo=qmix") == 0
    said = "".join(capsys.readouterr())
    assert "[red]a[/red] [/] [link=x] $\\foo$ [2J" in said
    assert not {"\x1b", "\x07", "\u202e", "\ud800"} & set(said)
    written = sorted(path for path in tmp_path.rglob("*") if path not in outside)
    assert [path for path in written if not path.is_relative_to(out)] == [tmp_path / "below"]
    assert len([path for path in written if path.suffix == ".png"]) == 1
    with pytest.raises(UserError):
        evaluate([folder.path, "--format=avi"])


def test_plain_text() -> None:
    assert printable("a\x1b[31mb\r\n\tc\u202ed\ud800é漢😀") == "a[31mb\n\tcdé漢😀"
    assert printable("a\nb", keep="") == "ab"


def test_a_run_of_ours_is_read_as_ever(folder: RunFolder, trained: Path, tmp_path: Path) -> None:
    before = deepcopy(OmegaConf.load(folder.config))
    assert stored_config(folder) == before
    assert evaluate([folder.path]) == 0
    assert [run.identity.algo for run in report([folder.path], tmp_path / "out")] == ["vdn"]
    assert identity(RunFolder(trained)) == identity(folder)
