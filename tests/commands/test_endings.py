"""What a command's end looks like from outside: the exit status and the words, for each way to end."""

import sys
from collections.abc import Sequence

import pytest

from marlpipe.commands.command_line.ending import exit_with
from marlpipe.errors import UserError


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (UserError("no [red] env"), 2, "marlpipe: no [red] env\n"),
        (KeyboardInterrupt("Type it again."), 130, "marlpipe: stopped. Type it again.\n"),
        (ValueError("odd [red] thing"), 1, "marlpipe: unexpected ValueError: odd [red] thing\n  Please report it"),
    ],
)
def test_a_command_that_fails(error: BaseException, status: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    def command(_: Sequence[str]) -> int:
        raise error

    with pytest.raises(SystemExit) as exit_:
        exit_with(command)
    assert exit_.value.code == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(told)
    assert ("Traceback" in err) == (status == 1)


@pytest.mark.parametrize("status", [0, 1])
def test_a_command_that_ends_by_itself(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "a=1", "b=2"])
    received: list[str] = []

    def command(arguments: Sequence[str]) -> int:
        received.extend(arguments)
        return status

    with pytest.raises(SystemExit) as exit_:
        exit_with(command)
    assert (exit_.value.code, received) == (status, ["a=1", "b=2"])
