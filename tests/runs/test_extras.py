"""What is advised to install is in a registry, and what marlpipe's own metadata asks for."""

import subprocess
from importlib.metadata import PackageNotFoundError

import pytest

from marlpipe.runs import extras
from marlpipe.runs.extras import install
from tests.support.repository import ROOT


def test_the_packages_of_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        "torch>=2",
        'vmas<2,>=1.5; extra == "vmas"',
        "a>=1 ; python_version > '3' and extra == 'two'",
        'b; extra=="two"',
    ]
    monkeypatch.setattr(extras, "requires", lambda _: listed)
    assert install("vmas") == "pip install 'vmas<2,>=1.5'"
    assert install("two") == "pip install 'a>=1' b"
    assert install("none") == "pip install --editable '.[none]'"


def test_without_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", missing)
    assert install("vmas") == "pip install --editable '.[vmas]'"


def test_marlpipe_itself_is_nowhere_advised_from_a_registry() -> None:
    found = subprocess.run(
        ["grep", "-rnE", r"pip install .{0,3}marlpipe", "marlpipe", "conf", "docs", "README.md", "--include=*.*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert found.stdout == ""
