"""One run of a grid, seen from inside its own process."""

import contextlib
import os
import signal
import sys
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import parent_process
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cloudpickle  # type: ignore[import-untyped]
from hydra.core.singleton import Singleton
from hydra.core.utils import run_job, setup_globals

from marlpipe.errors import UserError
from marlpipe.runs.lock import FolderInUse

LONGEST_REASON = 4000  # characters: it has to fit into a pipe that is read only after the process has ended


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a run's process works on."""

    call: bytes  # by `RunTask.call`
    folder: Path
    environment: dict[str, str]


class Outcome(NamedTuple):
    """How a run's process ended, as it reports itself."""

    kind: Literal["returned", "raised", "interrupted", "owned"]  # owned: by another process, which was left alone
    value: float | int | None = None  # what the task returned, where that is a number
    reason: str | None = None


def work(job: Job, channel: "Connection[Outcome, Outcome]") -> None:
    """The whole life of a run's process; its outcome goes into `channel`."""
    os.setsid()  # a Ctrl-C at the terminal reaches the launcher only, which passes on exactly one
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):  # the fork server ignores these signals
        signal.signal(number, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(job.environment)
    _print_into(job.folder / "console.log")
    threading.Thread(target=_end_with_the_launcher, daemon=True).start()
    outcome = _outcome(job)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    channel.send(outcome)


def _outcome(job: Job) -> Outcome:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on SIGINT raises KeyboardInterrupt
        return Outcome("returned", value=_run(job))
    except KeyboardInterrupt:
        return Outcome("interrupted")
    except SystemExit as exit_:
        if exit_.code in (None, 0):
            return Outcome("returned")
        return Outcome("raised", reason=f"exited with {exit_.code}")
    except FolderInUse as error:
        return Outcome("owned", reason=str(error))
    except UserError as error:
        return _raised(str(error), str(error))
    except BaseException as error:
        return _raised(f"{type(error).__name__}: {error}", traceback.format_exc())


def _raised(reason: str, message: str) -> Outcome:
    with contextlib.suppress(OSError):  # the disk may be full
        print(message, file=sys.stderr)
    return Outcome("raised", reason=reason[:LONGEST_REASON])


def _run(job: Job) -> float | int | None:
    setup_globals()
    shared, config = cloudpickle.loads(job.call)
    task_function, hydra_context, singletons = cloudpickle.loads(shared)
    Singleton.set_state(singletons)
    done = run_job(
        hydra_context=hydra_context,
        task_function=task_function,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    value = done.return_value  # raises what the task raised
    return value if isinstance(value, float | int) else None


def _print_into(console: Path) -> None:
    """From here on all output goes to the end of a file, that of libraries and of child processes too."""
    file = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    # new objects: the inherited ones would write to the launcher's terminal
    form: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "buffering": 1, "closefd": False}
    sys.stdout = open(1, "w", **form)  # noqa: SIM115 it lives as long as the process
    sys.stderr = open(2, "w", **form)  # noqa: SIM115


def _end_with_the_launcher() -> None:
    """When the launcher is killed, the run saves and stops, as after Ctrl-C."""
    launcher = parent_process()
    if launcher is not None:
        wait([launcher.sentinel])
        os.kill(os.getpid(), signal.SIGINT)
