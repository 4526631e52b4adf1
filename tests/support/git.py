"""Git repositories of the tests' own."""

import subprocess
from pathlib import Path


def commit(folder: Path) -> str:
    """Commits all that is in a folder, as a new repository if it is none, and returns the commit's name."""
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "-C", folder, "add", "."], check=True)
    subprocess.run(["git", *who, "-C", folder, "commit", "-q", "-m", "first"], check=True)
    asked = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return asked.stdout.strip()
