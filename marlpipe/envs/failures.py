"""What a world's own code raises becomes an error that names the world, the file and the line."""

import signal
import sysconfig
import textwrap
import traceback
from itertools import dropwhile
from pathlib import Path

from marlpipe.errors import UserError, WorldError

CHECK = "python -m marlpipe check_env env=…"
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
ADAPTERS = tuple(str(Path(__file__).with_name(library)) for library in ("pettingzoo_", "vmas_"))  # and what follows
ASK = f"correct the world; {CHECK} with its keys plays it and checks it"


def is_worlds(error: BaseException) -> bool:
    """Whether a world's code raised an error by itself, of whatever class: all but a `UserError` and the user's Ctrl-C.

    Of a KeyboardInterrupt the signal's handler decides, which is Python's own wherever a Ctrl-C raises one.
    """
    if isinstance(error, KeyboardInterrupt):
        return signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    return not isinstance(error, UserError)


def failure(
    what: str, error: BaseException, *, given: str = "", kind: type[UserError] = WorldError, following: str = ASK
) -> UserError:
    """The error to raise where a call of a world's code has raised one, in the function that made the call.

    Args:
        what: the world did, as `the world Own failed in step() at env step 3`.
        error: that its code raised.
        given: what the world was made with, as it is typed.
        kind: of the error to raise.
        following: the next step.
    """
    reason = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, SystemExit):
        reason = f"it called sys.exit({'' if error.code is None else repr(error.code)})"
    lines = [textwrap.indent(f"{what}: {reason}", "    ").strip()]
    lines += [f"  where: {where}" for where in [place(error)] if where]
    lines += [f"  given: {given}"] if given else []
    return kind("\n".join([*lines, f"  next: {following}"]))


def place(error: BaseException) -> str:
    """File and line of the last own statement that an exception went through, `file.py:12`.

    Statements of libraries count if there are no others. Empty where the call itself failed, as for a wrong number of
    arguments. The file that called the world's code is left out.
    """
    frames = list(traceback.extract_tb(error.__traceback__))
    frames = list(dropwhile(lambda frame: frame.filename == frames[0].filename, frames))
    own = [frame for frame in frames if not frame.filename.startswith((*LIBRARIES, *ADAPTERS, "<"))]
    return f"{(own or frames)[-1].filename}:{(own or frames)[-1].lineno}" if frames else ""
