"""The help of each verb, what it does not import, and completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from marlpipe.commands.command_line.verbs import command_line, run, verbs
from marlpipe.config.folder import config_folder, groups
from marlpipe.errors import UserError
from tests.support.command import exit_status

Capture = pytest.CaptureFixture[str]
HEAVY = {"torch", "lightning", "numpy", "scipy", "matplotlib", "wandb", "hydra", "networkx", "jaxtyping", "submitit"}
IMPORTED = """\
import json, sys
from marlpipe.commands.command_line.verbs import run
run(sys.argv[1:])
print(json.dumps(sorted(sys.modules)))
"""


def imported(*arguments: str) -> set[str]:
    """The packages that a command line has imported when it is done."""
    done = subprocess.run([sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_every_command_of_the_folder_is_a_verb() -> None:
    assert {"bandit", "check_env", "compare", "status", "sync"} < set(verbs())
    assert not {"train", "command_line"} & set(verbs())


@pytest.mark.parametrize("verb", verbs())
def test_the_help_of_a_verb_names_its_options_and_exit_status(verb: str, capsys: Capture) -> None:
    assert run([verb, "nowhere", "--help"]) == 0
    out = capsys.readouterr().out
    context = command_line.make_context("marlpipe", [verb])
    command = command_line.get_command(context, verb)
    assert command is not None
    for parameter in command.params:
        assert parameter.human_readable_name in out or parameter.opts[0] in out
    assert "Exit status" in out or verb == "bandit"
    assert max(map(len, out.splitlines())) <= 125


@pytest.mark.parametrize("verb", ["", *verbs()])
def test_a_help_imports_nothing_heavy(verb: str) -> None:
    assert not imported(*filter(None, [verb]), "--help") & HEAVY


def test_status_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "seed=0").mkdir()
    (tmp_path / "seed=0" / "status.json").write_text('{"state": "queued"}')
    assert not imported("status", str(tmp_path)) & HEAVY


def test_the_help_lists_verbs_and_groups_with_a_line_each(capsys: Capture) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert run(["algo=qmix", "--help"]) == 0
    assert capsys.readouterr().out == out
    for verb in verbs():
        assert f"\n  {verb} " in out
    for group, options in groups(config_folder()).items():
        for option in options:
            assert "/" in option or (f"\n{group}:\n" in out and f"\n  {option}" in out)
    assert "\n  rnn                      Linear, ReLU, GRU, Linear: PyMARL, LOMAQ Table 1\n" in out
    assert "@package" not in out


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert exit_status(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("marlpipe ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["statsu"], r"(?s)the verb 'statsu' does not exist. Did you mean 'status'\?.*valid: bandit, .*next: training"),
        (["train", "algo=qmix"], "the verb 'train' does not exist"),
        (["status", "--wach"], r"Did you mean '--watch'\?\n  valid: --help, --json, --state, --watch"),
        (
            ["compare", "--out"],
            r"'--out' requires an argument.\n  valid: marlpipe compare \[OPTIONS\] \[FOLDER…\]",
        ),
    ],
)
def test_what_cannot_be_parsed(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(words)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("marlpipe st", ["status"]),
        ("marlpipe status --w", ["--watch"]),
        ("marlpipe drill --by sigk", ["sigkill"]),
        ("marlpipe algo=qp", ["qpro", "qpro_no_bellman_error"]),
        ("marlpipe -m env=payoff algo=gra", ["graphmix"]),
        ("marlpipe proj", ["projection="]),
        ("marlpipe profile.disc", ["profile.discount="]),
        ("marlpipe check_env env=navigation_p", ["navigation_pair"]),
        ("marlpipe bandit rou", ["rounds="]),
    ],
)
def test_bash_completes(line: str, expected: list[str]) -> None:
    asked = {"_MARLPIPE_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_WORDBREAKS": "\"'><=;|&(: \n"}
    command = [sys.executable, "-m", "marlpipe"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | asked, check=True)
    found = [answer.removeprefix("plain,") for answer in done.stdout.splitlines()]
    assert [word for word in expected if word not in found] == []


def test_the_script_for_bash_asks_the_program(tmp_path: Path) -> None:
    """In a real bash, where an equals sign breaks words."""
    program = tmp_path / "marlpipe"
    program.write_text(f"#!{sys.executable}\nfrom marlpipe.__main__ import main\nmain()\n")
    program.chmod(0o755)
    script = """\
eval "$(_MARLPIPE_COMPLETE=bash_source marlpipe)"
COMP_WORDBREAKS="=:" COMP_LINE="marlpipe algo=graphm" COMP_POINT=20 COMP_WORDS=(marlpipe algo = graphm) COMP_CWORD=3
compopt() { :; }
_marlpipe_completion marlpipe
echo "${COMPREPLY[@]}"
"""
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=os.environ | {"PATH": path})
    assert done.stdout == "graphmix\n", done.stderr
