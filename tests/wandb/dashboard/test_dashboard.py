"""The dashboard command against a W&B-speaking server: what it saves, of which runs, and what it says if it cannot."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import wandb

from marlpipe.errors import UserError
from marlpipe.runs.files import write_json
from marlpipe.runs.folder import RunFolder
from marlpipe.wandb.dashboard import saving
from marlpipe.wandb.dashboard.study import study_of
from marlpipe.wandb.run import open_run
from marlpipe.wandb.sink import wandb_sink
from tests.support.command import verb
from tests.wandb.wandb_graphql import Refused
from tests.wandb.wandb_server import WandbServer, no_wandb, wandb_at

run = verb("dashboard")

LOGGER = "env: {_target_: x}\nlogger: {project: study, entity: %s}\n"
METRICS = {
    "eval/return_mean": 1.0,
    "eval/igm_consistency": 0.5,
    "train/loss": 0.1,
    "train/actor_loss": 0.2,
    "mine": 3.0,
}


def write_run(
    root: Path,
    *,
    env: str = "cartpole",
    algo: str = "qmix",
    arm: str = "1a2b3c4d",
    seed: int = 0,
    config: str = LOGGER % "team",
    metrics: Mapping[str, float] = METRICS,
    state: str = "finished",
    **choices: str,
) -> RunFolder:
    """A run as training leaves it, with two rows."""
    folder = RunFolder(root / env / f"{algo}-{arm}" / f"seed={seed}").create()
    folder.config.write_text(config)
    parts = {"partition": "full", "monotonicity": "abs", "profile": "quick", **choices}
    write_json(
        folder.run,
        {
            **{"label": algo, "seed": seed, "arm": arm, "overrides": [f"algo={algo}"]},
            **{"choices": {"env": env, "algo": algo, **parts}, "versions": {"marlpipe": "0"}},
        },
    )
    for number in range(2):
        folder.append_metrics(
            {"env_steps": 100 * number, "wall_s": 1.0, "time/env_steps_per_s": 9.0, "train/nothing": float("nan")}
            | dict(metrics)
        )
    folder.update_status(state=state)
    return folder


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    with WandbServer() as here, wandb_at(here, monkeypatch, tmp_path):
        yield here
        assert not here.errors


@pytest.fixture
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with no_wandb(monkeypatch, tmp_path):
        yield


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    root = tmp_path / "grid"
    for seed in (0, 1):
        write_run(root, seed=seed)
        write_run(root, algo="vdn", arm="5e6f7a8b", seed=seed)
    return root


def section(view: Mapping[str, Any]) -> Any:
    return json.loads(view["spec"])["section"]


def panels(view: Mapping[str, Any]) -> dict[str, list[str]]:
    """By section: what each panel shows."""
    return {
        one["name"]: [
            name for panel in one["panels"] for name in panel["config"].get("metrics") or panel["config"]["mediaKeys"]
        ]
        for one in section(view)["panelBankConfig"]["sections"]
    }


def grouping(runs: Mapping[str, Any]) -> list[str]:
    return [f"{key['section']}:{key['name']}" for key in runs["grouping"]]


def test_a_folder_becomes_a_saved_view(server: WandbServer, grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(grid)]) == 0
    ((name, view),) = server.views.items()
    assert (view["entityName"], view["projectName"], view["type"]) == ("team", "study", "project-view")
    assert view["displayName"] == "grid: cartpole"
    key = name.removeprefix("nw-").removesuffix("-v")
    assert capsys.readouterr().out == f"{server.url}/team/study?nw={key}\n"

    settings = section(view)["settings"]
    assert (settings["xAxis"], settings["maxRuns"], settings["smoothingType"]) == ("env_steps", 500, "none")
    (runs,) = section(view)["runSets"]
    assert grouping(runs) == ["config:env.value", "config:algo.value"]
    filters = [(one["key"]["name"], one["op"], one["value"]) for one in runs["filters"]["filters"]]
    assert filters == [("env", "=", "cartpole"), ("arm", "IN", ["1a2b3c4d", "5e6f7a8b"])]
    assert [key["key"]["name"] for key in runs["sort"]["keys"]] == ["env", "final/return"]
    assert list(runs["runFeed"]["columnPinned"]) == [
        "run:displayName",
        *(f"config:{name}.value" for name in ("algo", "env", "partition", "monotonicity", "seed")),
        "run:state",
        *("summary:final/return", "summary:best/return", "summary:final/area"),
    ]


def test_the_panels_show_what_was_recorded_over_env_steps(server: WandbServer, grid: Path) -> None:
    write_run(grid, seed=2)
    drawn = RunFolder(grid / "cartpole" / "qmix-1a2b3c4d" / "seed=2")
    drawn.pictures.mkdir()
    for env_steps in (0, 100):
        drawn.picture("episode", env_steps, ".png").touch()
    drawn.append_metrics({"env_steps": 200, **METRICS})
    run([str(grid)])
    (view,) = server.views.values()
    assert panels(view) == {
        "Returns": ["eval/return_mean", "final/return", "best/return", "final/area"],
        "Time": ["time/env_steps_per_s", "wall_s"],
        "Training": ["train/loss", "train/actor_loss"],
        "Diagnostics": ["eval/igm_consistency"],
        "More": ["mine"],
        "Pictures": ["pictures/episode"],
    }
    for part in section(view)["panelBankConfig"]["sections"]:
        assert part["localPanelSettings"]["xAxis"] == "env_steps"
        for panel in part["panels"]:
            if panel["viewType"] == "Run History Line Plot":
                config = panel["config"]
                assert (config["xAxis"], config["limit"], config["smoothingType"]) == ("env_steps", 500, "none")
                assert (config["groupAgg"], config["groupArea"]) == ("mean", "minmax")


def test_bars_wait_for_a_finished_run(server: WandbServer, tmp_path: Path) -> None:
    write_run(tmp_path / "grid", state="running")
    run([str(tmp_path / "grid")])
    (view,) = server.views.values()
    assert panels(view)["Returns"] == ["eval/return_mean"]


def test_the_view_names_what_runs_send(server: WandbServer, tmp_path: Path) -> None:
    """Whoever renames a key of the W&B runs has to rename it here."""
    folder = write_run(tmp_path / "grid")
    rows = folder.read_metrics()
    with wandb_sink(
        folder=folder,
        config={"logger": {"project": "study"}},
        project="study",
        entity="team",
        mode="online",
        tags=[],
        save_policy=False,
        save_code=False,
    ) as (sink,):
        for number, row in enumerate(rows):
            sink.log(row, number)
    run([str(tmp_path / "grid")])
    (view,) = server.views.values()
    (sent,) = server.runs.values()
    (runs,) = section(view)["runSets"]
    keys = [key.partition(":")[2] for key in (*grouping(runs), *runs["runFeed"]["columnPinned"]) if "config:" in key]
    assert {key.removesuffix(".value") for key in keys} <= set(sent.config)
    assert (sent.config["env"], sent.config["arm"]) == ("cartpole", "1a2b3c4d")
    assert {name for names in panels(view).values() for name in names} <= set(sent.history[0]) | set(sent.summary)


def test_the_same_command_renews_the_same_view(server: WandbServer, grid: Path) -> None:
    run([str(grid)])
    (view,) = server.views.values()
    view["id"] = "the server's own"
    write_run(grid, algo="iql", arm="99999999")
    run([str(grid)])
    (view,) = server.views.values()
    assert view["id"] == "the server's own"
    assert section(view)["runSets"][0]["filters"]["filters"][1]["value"] == ["99999999", "1a2b3c4d", "5e6f7a8b"]
    run([str(grid), "--name", "for the paper"])
    assert {one["displayName"] for one in server.views.values()} == {"grid: cartpole", "for the paper: cartpole"}


def test_each_environment_has_a_view(server: WandbServer, grid: Path) -> None:
    write_run(grid, env="payoff", metrics={"eval/return_mean": 8.0, "eval/optimum_found": 1.0})
    run([str(grid)])
    views = {view["displayName"]: view for view in server.views.values()}
    assert set(views) == {"grid: cartpole", "grid: payoff"}
    assert "eval/optimum_found" in panels(views["grid: payoff"])["Diagnostics"]
    assert "eval/optimum_found" not in panels(views["grid: cartpole"])["Diagnostics"]


def test_arms_of_one_algorithm_are_not_averaged(tmp_path: Path) -> None:
    root = tmp_path / "grid"
    write_run(root, arm="00000001")
    write_run(root, arm="00000002", partition="pairs")
    assert study_of(root).worlds[0].groups == ("algo", "partition")
    write_run(root, arm="00000003", partition="pairs")  # whatever else differs
    assert study_of(root).worlds[0].groups == ("algo", "partition", "arm")


def test_a_report_says_what_is_compared(server: WandbServer, grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(grid, env="payoff", state="running")
    run([str(grid), "--report"])
    (view,) = server.views.values()
    view["id"] = "own"
    capsys.readouterr()
    run([str(grid), "--report"])
    (view,) = server.views.values()
    assert (view["id"], view["type"], view["displayName"]) == ("own", "runs", "grid")
    assert capsys.readouterr().out == f"{server.url}/team/study/reports/grid--own\n"
    blocks = json.loads(view["spec"])["blocks"]
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    assert {one["runSets"][0]["name"] for one in grids} == {"grid: cartpole", "grid: payoff"}
    for one in grids:
        assert grouping(one["runSets"][0]) == ["config:env.value", "config:algo.value"]
        assert one["runSets"][0]["project"]["name"] == "study"
    lines = [
        panel["config"]
        for one in grids
        for panel in one["panelBankSectionConfig"]["panels"]
        if panel["viewType"] == "Run History Line Plot"
    ]
    assert {(line["xAxis"], line["limit"]) for line in lines} == {("env_steps", 500)}
    assert "eval/return_mean" in lines[0]["metrics"]
    text = json.dumps(blocks)
    assert "python -m marlpipe compare" in text
    assert "vdn (5e6f7a8b), 2 seeds, 2 finished, fewer than 5" in text
    assert "qmix (1a2b3c4d), 1 seed, 0 finished" in text


def test_a_project_needs_no_folder(server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(["others/survey"])
    run(["survey", "--entity", "others", "--name", "second"])
    run(["survey"])
    views = [(view["entityName"], view["projectName"], view["displayName"]) for view in server.views.values()]
    assert views == [
        *(("others", "survey", "survey"), ("others", "survey", "second")),
        ("team", "survey", "survey"),  # of whoever is logged in
    ]
    view = list(server.views.values())[-1]
    assert grouping(section(view)["runSets"][0])[:2] == ["config:env.value", "config:algo.value"]
    assert {"Returns", "Rollouts", "Time", "Training", "Diagnostics"} <= set(panels(view))


@pytest.mark.usefixtures("logged_out")
def test_a_dry_run_asks_nobody(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(grid), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("view in team/study\ngrid: cartpole\n")
    assert "Training: train/loss, train/actor_loss" in told


@pytest.mark.usefixtures("logged_out")
def test_nobody_is_logged_in(grid: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)nobody is logged in.*wandb login.*marlpipe compare"):
        run([str(grid)])


@pytest.mark.parametrize("wrong", ["failing", "refusing", "hanging", "gone"])
def test_a_server_that_does_not_answer(
    wrong: str, server: WandbServer, grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "TIMEOUT_S", 1.0)  # W&B takes less for none
    monkeypatch.setattr(saving, "TRIES_AGAIN", 1)
    if wrong == "gone":
        monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the port of "discard": nobody listens
    else:
        setattr(server, wrong, True)
    started = time.monotonic()
    with pytest.raises(
        UserError, match=r"(?s)W&B at http://127\.0\.0\.1:\d+ did not carry out the request: .*network.*compare"
    ):
        run([str(grid)])
    assert time.monotonic() - started < 15  # W&B's own patience is 19 s
    assert not server.views


def test_a_server_that_refuses_the_view(server: WandbServer, grid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = server.store.answer

    def read_only(query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertView" in query:
            raise Refused(403, "permission denied")
        return answer(query, variables)

    monkeypatch.setattr(server.store, "answer", read_only)
    for kind in ("--name=x", "--report"):
        with pytest.raises(UserError, match=r"did not carry out the request: .*permission denied"):
            run([str(grid), kind])


def test_a_project_that_does_not_exist(server: WandbServer, grid: Path) -> None:
    server.store.projects = {"another"}
    with pytest.raises(UserError, match=r"(?s)no project team/study .*marlpipe sync.*compare"):
        run([str(grid)])
    assert not server.views


@pytest.mark.usefixtures("logged_out")
def test_what_a_config_leaves_open_is_where_the_variables_or_the_session_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "grid", config="env: 1\nlogger: {project: null, entity: null}\n")
    assert str(study_of(tmp_path / "grid").destination) == "marlpipe"
    opened = open_run(folder=folder, project="then", entity="us", group="g", name="n", config={}, comparison={})
    assert opened is not None
    opened.finish()
    assert str(study_of(tmp_path / "grid").destination) == "us/then"
    wandb.teardown()
    monkeypatch.setenv("WANDB_PROJECT", "today")
    assert str(study_of(tmp_path / "grid").destination) == "us/today"


def test_wandb_that_is_switched_off_saves_nothing(
    server: WandbServer, grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DISABLED", "true")
    with pytest.raises(UserError, match="WANDB_DISABLED=true switches W&B off"):
        run([str(grid)])
    assert server.requests == []


def test_runs_that_were_not_sent_are_no_dashboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "grid"
    write_run(root, config="env: {_target_: x}\nlogger: {_target_: marlpipe.runs.sinks.no_sinks}\n")
    with pytest.raises(UserError, match=r"(?s)no run in .* recorded by W&B.*logger=wandb"):
        run([str(root), "--dry-run"])
    write_run(root, seed=1)
    write_run(root, seed=2, config="env: 1\nlogger: {project: other}\n")
    with pytest.raises(UserError, match="several projects: other, team/study"):
        run([str(root), "--dry-run"])
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "broken",
    [
        "logger: [\n",
        "logger: {project: '../../admin'}\n",
        "logger: {project: 3}\n",
        "logger: !!python/object/apply:os.system ['touch owned']\n",
        "x" * 100_001,
    ],
)
def test_a_run_of_a_stranger_is_left_out(broken: str, grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(grid, seed=7, config=broken)
    write_run(grid, env="cart') or Config('seed') == 1 or ('", arm="1a2b3c4e")
    assert run([str(grid), "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert "qmix (1a2b3c4d), 2 seeds" in out
    assert err.count("warning: left out: ") == 2
    assert "Config" not in out
    assert not Path("owned").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no folder was given"),
        (["a", "b"], "got unexpected extra argument (b)"),
        (["a", "--reprot"], "'--reprot' does not exist. Did you mean '--report'"),
        (["a", "--report=1"], "does not take a value"),
        (["a", "--entity"], "requires an argument"),
        (["a", "--name="], "--name cannot be"),
        (["a", "--name", "\N{ROCKET}"], "--name cannot be"),
        (["nowhere/below/this"], "no folder nowhere/below/this"),
        (["multirun/"], "no folder multirun/"),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: list[str], told: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(told)):
        run(["--dry-run", *arguments])
