"""Compiled acting: the same numbers, of the weights as they are now."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from marlpipe.errors import UserError
from marlpipe.models.agents.compiled import CompiledAgent
from tests.support.composition import build
from tests.support.synthetic import make_spec

PROGRAM = Path(__file__).with_name("compiled_acting.py")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++, and there is none")
def test_acting_is_the_same_before_and_after_a_change_of_weights() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_compiler_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match="there is no no-such-compiler"):
        CompiledAgent(build("algo=qmix", spec=make_spec()).agent)
