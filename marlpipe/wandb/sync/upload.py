"""Uploads sessions with `wandb sync` in a subprocess."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from subprocess import PIPE, STDOUT, Popen
from threading import Thread

from marlpipe.runs.text import printable
from marlpipe.wandb.private_api import COMPLAINT, DONE, SERVICE

SILENCE_S = 300.0  # without output, after which `wandb sync` is taken to wait for an unreachable server
LINGER_S = 20.0  # for W&B's service process to end after `wandb sync` was stopped


def upload(logs: Sequence[Path], scratch: Path, done: Callable[[], None]) -> list[str]:
    """Uploads the sessions, and returns when `wandb sync` has ended or is silent for too long.

    Args:
        logs: of sessions, each of another run.
        scratch: a folder for W&B's own files.
        done: called once after each session.

    Returns:
        The error messages of `wandb sync`. That there is none does not prove that the server has stored all rows.
    """
    if not logs:  # `wandb sync` would search for logs itself
        return []
    environment = {**os.environ, "WANDB_DIR": str(scratch)}
    environment.pop(SERVICE, None)  # in our service process the upload would go on after `wandb sync` is stopped
    command = [sys.executable, "-m", "wandb", "sync", *map(str, logs)]
    lines: SimpleQueue[str | None] = SimpleQueue()
    complaints = []
    with Popen(command, stdout=PIPE, stderr=STDOUT, text=True, errors="replace", env=environment) as process:
        reader = Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        try:
            while (line := lines.get(timeout=SILENCE_S)) is not None:
                if DONE.search(line):
                    done()
                if (at := line.find(COMPLAINT)) >= 0:
                    complaints.append(printable(line[at + len(COMPLAINT) :].strip(), keep=""))
        except Empty:
            complaints.append(f"`wandb sync` was silent for {SILENCE_S:.0f} s and was stopped")
        finally:
            process.kill()
            # its service process, which ends later, holds the pipe: until then it could repeat rows of the next upload
            reader.join(timeout=LINGER_S)
    return complaints


def _read(process: Popen[str], lines: SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)
