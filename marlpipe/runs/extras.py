"""The packages that only some parts of marlpipe need, as its own metadata lists them."""

import re
import shlex
from importlib.metadata import PackageNotFoundError, requires

EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


def install(extra: str) -> str:
    """The shell command that installs what an extra needs, wherever marlpipe itself came from.

    It names those packages, since marlpipe need not be in a registry; where marlpipe is not installed at all, its
    source folder.
    """
    try:
        listed = requires("marlpipe") or []
    except PackageNotFoundError:
        listed = []
    parts = [one.partition(";") for one in listed]
    needed = [package.strip() for package, _, marker in parts if extra in EXTRA.findall(marker)]
    return f"pip install {shlex.join(needed or ['--editable', f'.[{extra}]'])}"
