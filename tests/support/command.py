"""The command line, in the test's own process."""

import sys

import pytest

from marlpipe.__main__ import main


def exit_status(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """What `python -m marlpipe …` ends with."""
    monkeypatch.setattr(sys, "argv", ["marlpipe", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    assert isinstance(end.value.code, int)
    return end.value.code
