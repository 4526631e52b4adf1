"""The command line, in the test's own process."""

import sys
from collections.abc import Callable, Sequence

import pytest

from marlpipe.__main__ import main
from marlpipe.commands.command_line.verbs import run


def verb(name: str) -> Callable[[Sequence[object]], int]:
    """What `marlpipe NAME …` does: it returns the exit status, or raises a UserError."""
    return lambda arguments: run([name, *map(str, arguments)])


def exit_status(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """What `python -m marlpipe …` ends with."""
    monkeypatch.setattr(sys, "argv", ["marlpipe", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code
