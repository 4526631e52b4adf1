"""What can be typed behind every benchmark."""

import argparse
from pathlib import Path

from benchmarks.machine import RESULTS
from marlpipe.records.provenance import cores


def parsed(module: str, description: str | None) -> argparse.Namespace:
    """`threads`, `rounds` and `out`; exits with a message where they cannot be."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=description)
    parser.add_argument("--threads", type=int, default=cores(), help="of torch (default: all cores)")
    parser.add_argument("--rounds", type=int, default=7, help="counted repetitions (default: 7)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON file (default: %(default)s)")
    asked = parser.parse_args()
    if asked.threads < 1 or asked.rounds < 1:
        parser.error("--threads and --rounds take 1 or more")
    return asked
