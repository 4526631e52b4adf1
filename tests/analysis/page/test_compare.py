"""What the page says of hand-made runs, whatever state they are in, and what is written beside it."""

import csv
import http.client
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marlpipe.analysis.page.comparison import EnvComparison, comparison
from marlpipe.analysis.page.page import page
from marlpipe.analysis.page.page_data import as_json, numbers
from marlpipe.analysis.page.pictures import LARGEST, LARGEST_SUM, Album
from marlpipe.analysis.page.serving import ServedPage, server, signature
from marlpipe.analysis.report.report import report
from marlpipe.analysis.statistics.aggregates import iqm
from marlpipe.analysis.statistics.bootstrap import interval
from marlpipe.analysis.statistics.profiles import probability_of_improvement
from marlpipe.errors import UserError
from marlpipe.runs.curve import final_return
from tests.analysis.page.grid_of_runs import curve, png, write_grid, write_run, write_troubles
from tests.support.command import verb

run = verb("compare")


def embedded(text: str) -> Any:
    """The numbers of a page."""
    [told] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(told)


def part(root: Path, env: str = "cartpole") -> EnvComparison:
    [found] = [one for one in comparison([root]).envs if one.evidence.env == env]
    return found


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_everything_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_grid(tmp_path, envs=1, arms=2, seeds=5, evaluations=20)
    assert run([str(tmp_path)]) == 0
    out = tmp_path / "comparison"
    tables = ("results", "curves", "bands", "profiles", "improvement", "efficiency", "tasks", "config", "runs")
    pictures = {f"{name}.{kind}" for name in ("cartpole", "tasks") for kind in ("png", "pdf")}
    exported = {"marl_eval.json", "scores.npz", "exports.txt"}
    expected = {"index.html", *pictures, *exported, *(f"{name}.csv" for name in tables)}
    assert {file.name for file in out.iterdir()} == expected
    assert set(capsys.readouterr().out.splitlines()) == {str(out / name) for name in expected}
    assert len(rows(out / "curves.csv")) == 2 * 5 * 20
    assert (out / "cartpole.pdf").read_bytes().startswith(b"%PDF")


def test_the_numbers_are_those_of_the_statistics(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    told = {arm: [curve(generator, height, 30) for _ in range(6)] for arm, height in (("qmix", 100), ("vdn", 60))}
    for arm, curves in told.items():
        for seed, returns in enumerate(curves):
            write_run(tmp_path, "cartpole", arm, seed, returns.tolist())
    run([str(tmp_path)])
    finals = {arm: {"cartpole": np.array([final_return(one) for one in curves])} for arm, curves in told.items()}
    first, second = rows(tmp_path / "comparison" / "results.csv")
    assert [first["arm"], second["arm"]] == ["qmix", "vdn"]  # best first
    expected = interval(finals["qmix"], iqm)
    assert [float(first[f"final_{bound}"]) for bound in ("point", "low", "high")] == pytest.approx(expected[:3])
    pair, mirrored, _, _ = rows(tmp_path / "comparison" / "improvement.csv")
    assert float(pair["point"]) == probability_of_improvement(finals["qmix"], finals["vdn"]).point
    assert float(mirrored["point"]) == 1 - float(pair["point"])
    data = embedded((tmp_path / "comparison" / "index.html").read_text())
    one = data["runs"][data["envs"][0]["arms"][0]["runs"][2]]
    assert one["y"] == numbers(told["qmix"][2])
    assert data["arrays"][one["x"][0]] == [1000 * k for k in range(30)]
    assert data["arrays"][one["x"][1]] == [25 * k for k in range(30)]


def test_tasks_with_known_references_are_put_together(tmp_path: Path) -> None:
    """In these worlds random actions earn 20, the best 220. An arm that lacks a task is in no aggregate."""
    write_grid(tmp_path, envs=2, arms=3, seeds=5, evaluations=20)
    write_run(tmp_path, "payoff", "iql", 0, [20.0] * 20)
    tasks = comparison([tmp_path]).tasks
    assert tasks.tasks == ("cartpole", "payoff")
    assert set(tasks.statistics) == {"qpro", "wqmix", "qmix"}
    assert any("left out: iql" in message for message in tasks.messages)
    finals = [one.finals for env in ("cartpole", "payoff") for one in part(tmp_path, env).evidence.arms]
    mine = [one for one in finals if len(one) == 5]
    assert tasks.statistics["qpro"]["mean"].point == pytest.approx((np.mean([mine[0], mine[3]]) - 20) / 200)
    assert "Normalised over cartpole, payoff" in page(comparison([tmp_path]))


def test_how_soon_a_return_is_reached(tmp_path: Path) -> None:
    write_run(tmp_path, "cartpole", "qmix", 0, [0.0, 5.0, 10.0, 10.0])
    write_run(tmp_path, "cartpole", "vdn", 0, [0.0, 0.0, 0.0, 6.0])
    found = {(one.arm, one.share): one for one in part(tmp_path).sample_efficiency}
    assert found["qmix", 0.5].at.env_steps == 1000
    assert found["qmix", 0.75].at.env_steps == 1500
    assert found["vdn", 0.5].at.env_steps == pytest.approx(2000 + 1000 * 5 / 6)
    assert (found["vdn", 0.75].at.reached, found["vdn", 0.75].at.runs, found["vdn", 0.75].at.env_steps) == (
        0,
        1,
        math.inf,
    )
    speed = 3000 / (comparison([tmp_path]).found[0].run.wall_s[-1] / 60)
    assert found["qmix", 0.5].at.minutes == pytest.approx(1000 / speed, rel=0.01)


PAPER_WORLD = """
env:
  _target_: marlpipe.envs.navigation.Navigation
  columns: 15
  rows: 1
  column_distance: 0.75
  time_limit: 50
  region: square
  sharing: occupants
  nearness_reward: 0.01
  collision_penalty: 0.0
"""


def test_how_soon_the_return_of_a_paper_is_reached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where all arms are trained in the world of its figure; its source is told."""
    for algo, returns in {"lomaq": [0.0, 500.0, 570.0], "iql_local": [0.0, 300.0, 470.0]}.items():
        write_run(tmp_path, "navigation", algo, 0, returns).config.write_text(PAPER_WORLD)
    found = {one.arm: one.at for one in part(tmp_path, "navigation").sample_efficiency if one.share is None}
    assert found["lomaq"].env_steps == pytest.approx(1000 + 1000 * 35 / 70)
    assert (found["iql_local"].reached, found["iql_local"].env_steps) == (0, math.inf)
    assert "535: LOMAQ at the end of its figure 5, right." in page(comparison([tmp_path]))
    report([tmp_path], tmp_path / "out")
    told = capsys.readouterr().out
    assert "to 535" in told
    assert "1,500, " in told
    assert "0 of 1 seeds" in told
    [config] = (tmp_path / "navigation").glob("iql_local*/seed=0/config.yaml")
    config.write_text(PAPER_WORLD.replace("50", "40"))
    assert not [one for one in part(tmp_path, "navigation").sample_efficiency if one.share is None]


def test_what_differs_in_config(tmp_path: Path) -> None:
    write_run(tmp_path, "cartpole", "qmix", 0, [1.0, 2.0])
    write_run(tmp_path, "cartpole", "vdn", 0, [1.0, 2.0], learning_rate=0.01)
    write_run(tmp_path, "cartpole", "qmix agent.hidden=8", 0, [1.0, 2.0])
    for config in tmp_path.glob("cartpole/*/*/config.yaml"):
        if "agent.hidden=8" in (config.parent / "run.json").read_text():
            config.write_text(config.read_text().replace("hidden: 64", "hidden: 8"))
    why = {row.key: row.why for row in part(tmp_path).differences.keys}
    assert why == {"agent.hidden": "swept", "mixer._target_": "follows", "profile.learning_rate": "beyond"}
    text = page(comparison([tmp_path]))
    assert text.index("Keys that differ without having been set") < text.index("Keys that were set:")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, "No such file"),
        ("env: [", "is no YAML"),
        ("- 1\n- 2", "is not the config"),
        ("a: &a [1, 2]\nb: [*a, *a]", "refers to parts of itself"),
        ("x" * 200_000, "longer than"),
    ],
)
def test_a_config_that_cannot_be_compared_is_named(tmp_path: Path, config: str | None, said: str) -> None:
    write_run(tmp_path, "cartpole", "qmix", 0, [1.0, 2.0])
    folder = write_run(tmp_path, "cartpole", "vdn", 0, [1.0, 2.0])
    folder.config.unlink()
    if config is not None:
        folder.config.write_text(config)
    found = part(tmp_path)
    assert found.differences.arms == ("qmix",)
    assert any("vdn was not compared" in notice and said in notice for notice in found.caveats)
    assert page(comparison([tmp_path]))


def test_everything_unequal_is_said(tmp_path: Path) -> None:
    write_grid(tmp_path, envs=1, arms=2, seeds=6)
    write_troubles(tmp_path)
    said = "\n".join(part(tmp_path).caveats)
    for expected in (
        r"Fewer than 5 seeds: .*qtran \(2\)",
        r"Without a finished run: graphmix\.",
        r"Unequal sets of seeds \(6 in all\): .*qtran lacks 2, 3, 4, 5",
        r"Unequal budgets, in env steps: .*80,000 \(qtran\)",
        r"cw_qmix: its runs end between 11,000 and 59,000 env steps",
        r"Runs have between 12 and 60 evaluations",
        r"qtran: evaluations that are not finite numbers \(NaN\), in seed 0 \(2 of 60\).*1 from the mean curve",
        r"Runs of different code: .*0123456789",
    ):
        assert re.search(expected, said), expected


def test_a_fair_comparison_has_nothing_to_warn_of(tmp_path: Path) -> None:
    write_grid(tmp_path, envs=1, arms=3, seeds=5)
    assert part(tmp_path).caveats == []
    assert "Not finished" not in page(comparison([tmp_path]))


def test_runs_that_did_not_finish_are_listed_with_reasons(tmp_path: Path) -> None:
    write_troubles(tmp_path)
    outside = tmp_path.parent / "outside.txt"
    outside.write_text("secret")
    (write_run(tmp_path, "cartpole", "iql", 0, [1.0]).path / "link").symlink_to(outside)
    told = comparison([tmp_path])
    found = {(one.standing.records.name, one.state): one.reason or "" for one in told.found if one.state != "finished"}
    assert "the loss is not finite" in found["cartpole qtran", "failed"]
    assert "no process trains it" in found["cartpole qtran", "lost"]
    assert "SIGUSR2" in found["cartpole graphmix", "interrupted"]
    assert found["cartpole graphmix", "queued"] == ""
    assert "is not a row of metrics" in found["cartpole ow_qmix", "refused"]
    [(_, leads)] = [item for item in found.items() if "leads out of" in item[1]]
    assert str(outside) in leads
    text = page(told)
    assert "Not finished: 6" in text
    assert "secret" not in text


def test_no_metrics_stop_the_page(tmp_path: Path) -> None:
    contents = [
        "",
        '{"env_steps": 0, "eval/return_mean": 1.0',
        '{"env_steps": 0, "eval/return_mean": null}\n',
        '{"env_steps": 5, "eval/return_mean": 1.0}\n{"env_steps": 5, "eval/return_mean": 2.0}\n',
        '{"env_steps": null, "eval/return_mean": 1.0}\n',
        '{"env_steps": 0, "eval/return_mean": 1e308, "wall_s": null}\n{"env_steps": 9, "eval/return_mean": -1e308}\n',
        '{"env_steps": 0, "eval/return_mean": 1.0, "gradient_steps": [1]}\n',
        "[]\n",
        '{"env_steps": 0, "train/eval/return_mean": "x"}\n',
    ]
    for arm, content in enumerate(contents):
        for seed in range(2):
            write_run(tmp_path, "cartpole", f"qmix{arm}", seed, [1.0, 2.0])
        write_run(tmp_path, "cartpole", f"qmix{arm}", 2, [1.0]).metrics.write_text(content)
    assert run([str(tmp_path)]) == 0
    assert embedded((tmp_path / "comparison" / "index.html").read_text())


@pytest.mark.parametrize("name", ["run.json", "status.json", "submission.json", "config.yaml", "metrics.jsonl"])
def test_a_folder_may_change_while_it_is_read(tmp_path: Path, name: str) -> None:
    """Files of a run are gone, or half there, at any moment."""
    write_run(tmp_path, "cartpole", "qmix", 0, [1.0, 2.0])
    folder = write_run(tmp_path, "cartpole", "qmix", 1, [1.0, 2.0])
    for content in (b"", b"{", b"\xff\xfe", b"null", b"[[[["):
        (folder.path / name).write_bytes(content)
        assert page(comparison([tmp_path]))
    (folder.path / name).unlink()
    assert page(comparison([tmp_path]))


def test_nothing_that_was_evaluated_yet_is_no_error(tmp_path: Path) -> None:
    write_run(tmp_path, "cartpole", "qmix", 0, [], state="queued")
    assert run([str(tmp_path)]) == 0
    assert "Without any evaluation" in (tmp_path / "comparison" / "index.html").read_text()


def test_texts_of_a_folder_are_escaped(tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)><!--$data"
    folder = write_run(tmp_path, "cartpole", "qmix", 0, [1.0], state="failed", reason=evil)
    folder.run.write_text(folder.run.read_text().replace('"label": "qmix"', f'"label": {json.dumps(evil)}'))
    folder.config.write_text(evil)
    text = page(comparison([tmp_path]))
    assert "<img" not in text
    assert text.count("</script>") == 2
    assert embedded(text)["arms"] == [evil]
    assert as_json({"a": "<>&\u2028"}) == '{"a":"\\u003c\\u003e\\u0026\\u2028"}'


def test_pictures_stand_in_the_page_only_if_small(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "cartpole", "qmix", 0, [1.0])
    for place in ("figures", "evaluation", "pictures"):
        (folder.path / place).mkdir()
    (folder.path / "figures" / "a.png").write_bytes(png(20, 20))
    (folder.path / "figures" / "b.png").write_bytes(png(20, 20) + b"x" * LARGEST)
    (folder.path / "figures" / "c.png").write_bytes(b"<svg onload=alert(1)>")
    (folder.path / "evaluation" / "d.png").symlink_to(folder.path / "figures" / "a.png")
    (folder.path / "evaluation" / "e.png").symlink_to(tmp_path / "elsewhere.png")
    os.mkfifo(folder.path / "evaluation" / "f.gif")
    for number, beginning in enumerate((b"GIF87a", b"GIF89a")):
        folder.picture("episode", number, ".gif").write_bytes(beginning + b"...")
    folder.picture(".12.episode", 2, ".gif").write_bytes(b"GIF89a, and it is not all there yet")
    album = Album()
    told = {picture.name: picture.source for picture in album.of(folder)}
    shown = ["episode_000000001.gif", "episode_000000000.gif"]
    assert [name for name, source in told.items() if source] == [
        *(f"pictures/{name}" for name in shown),
        *("figures/a.png", "evaluation/d.png"),
    ]
    assert told["pictures/episode_000000001.gif"] == "data:image/gif;base64,R0lGODlhLi4u"
    assert str(told["figures/a.png"]).startswith("data:image/png;base64,iVBORw0KGgo")
    assert "figures/b.png: left out, it is too large for this page" in told
    assert "figures/c.png: is neither a PNG nor a GIF file" in told
    assert {"evaluation/e.png: cannot be read", "evaluation/f.gif: cannot be read"} < told.keys()
    album.left = 8
    assert not any(picture.source for picture in album.of(folder))


def test_where_not_all_films_fit_runs_have_their_last_one(tmp_path: Path) -> None:
    """25 of these 75 films fit."""
    album, shown = Album(), list[str]()
    for seed in range(25):
        folder = write_run(tmp_path, "cartpole", "qmix", seed, [1.0])
        folder.pictures.mkdir()
        for env_steps in (1000, 2000, 10_000):
            folder.picture("episode", env_steps, ".gif").write_bytes(b"GIF89a" + b"x" * (LARGEST_SUM // 25 - 6))
        shown += [picture.name for picture in album.of(folder) if picture.source]
    assert shown[:3] == [f"pictures/episode_{env_steps:09d}.gif" for env_steps in (10_000, 2000, 1000)]
    assert (len(shown), shown.count("pictures/episode_000010000.gif")) == (25, 17)


def test_500_runs_fit_into_a_page(tmp_path: Path) -> None:
    """10 MB is what the page may have; these have as many digits as real runs."""
    generator = np.random.default_rng(0)
    for seed in range(50):
        write_run(tmp_path, "cartpole", "qmix", seed, curve(generator, 100, 200).tolist())
    size = len(page(comparison([tmp_path])))
    fixed = len(page(comparison([next(tmp_path.glob("cartpole/*/seed=0"))])))
    assert fixed + 10 * (size - fixed) < 5_000_000


def test_arms_share_their_colour_between_environments(tmp_path: Path) -> None:
    write_grid(tmp_path, envs=2, arms=3, seeds=2, evaluations=5)
    told = comparison([tmp_path])
    assert told.arms == ["qmix", "qpro", "wqmix"]
    assert len({frozenset(one["arm"] for one in env["arms"]) for env in embedded(page(told))["envs"]}) == 1


def test_the_page_is_served_on_this_machine_only(tmp_path: Path) -> None:
    write_run(tmp_path, "cartpole", "qmix", 0, [1.0, 2.0])
    served = ServedPage()
    served.replace("7", page(comparison([tmp_path]), live="7"))
    with server(served) as address:
        host, port = address.removeprefix("http://").rstrip("/").split(":")
        assert host == "127.0.0.1"

        def ask(path: str, name: str = f"{host}:{port}") -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(host, int(port), timeout=10)
            connection.request("GET", path, headers={"Host": name})
            answer = connection.getresponse()
            told = answer.status, answer.read()
            connection.close()
            return told

        assert ask("/") == (200, served.page)
        assert ask("/version") == (200, b"7")
        assert ask("/../run.json")[0] == 404
        assert ask("/", "evil.example")[0] == 403


def test_a_change_of_the_runs_is_seen(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "cartpole", "qmix", 0, [1.0, 2.0])
    before = signature([tmp_path])
    assert signature([tmp_path]) == before
    folder.append_metrics({"env_steps": 9000, "eval/return_mean": 3.0})
    after = signature([tmp_path])
    assert after != before
    folder.update_status(state="failed")
    assert signature([tmp_path]) != after


def test_the_watching_command_serves_what_comes(tmp_path: Path) -> None:
    write_run(tmp_path, "cartpole", "qmix", 0, [1.0, 2.0])
    command = [sys.executable, "-m", "marlpipe", "compare", str(tmp_path), "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[0]

            def version() -> bytes:
                with urllib.request.urlopen(f"{address}version", timeout=30) as answer:
                    return bytes(answer.read())

            before = version()
            write_run(tmp_path, "cartpole", "qmix", 1, [1.0, 2.0])
            until = time.monotonic() + 60
            while version() == before:
                assert time.monotonic() < until
                time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    assert not (tmp_path / "comparison").exists()


def test_wrong_input_is_told(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "cartpole", "qmix", 0, [1.0])
    for arguments, said in (
        ([], "multirun"),
        ([str(tmp_path / "none")], "there is no folder"),
        (["--ouch", str(tmp_path)], "Did you mean '--out'"),
        ([str(tmp_path), "--out"], "'--out' requires an argument"),
    ):
        with pytest.raises(UserError, match=said):
            run(arguments)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "comparison").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads out of"):
        run([str(tmp_path / "runs")])
    assert os.listdir(tmp_path / "elsewhere") == []
    assert run([str(tmp_path / "runs"), "--out", str(tmp_path / "out")]) == 0
    assert run([str(tmp_path / "runs"), f"--out={tmp_path / 'out'}"]) == 0
