"""How every command ends: its exit status, and a message instead of a traceback."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from marlpipe.errors import UserError
from marlpipe.runs.text import printable


def exit_with(run: Callable[[Sequence[str]], int]) -> NoReturn:
    """Runs a command on the process's arguments and exits with what it returns: 0 if all went well, 1 if not.

    It exits with 2 for what the user has to mend first, such as bad input or a full disk, also that of the output, and
    with 130 after Ctrl-C.
    A world that fails while it is played has failed: 1.
    """
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
        sys.exit(status)
    except UserError as error:
        print(printable(f"marlpipe: {error}"), file=sys.stderr)
        sys.exit(error.exit_status)
    except KeyboardInterrupt as stop:
        print(" ".join(["marlpipe: stopped.", *map(str, stop.args)]).rstrip(), file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the program that reads our output has ended
        drop_output()
        sys.exit(1)
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and (refusal := output_refused()):
            print(f"marlpipe: cannot write the output: {refusal}\n  next: print elsewhere", file=sys.stderr)
            sys.exit(2)
        from rich.console import Console  # a tenth of a second, for what should not happen

        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(f"marlpipe: unexpected {type(error).__name__}: {error}", markup=False)
        console.print("  Please report it with the traceback, which follows.")
        console.print_exception()
        sys.exit(1)


def output_refused() -> str | None:
    """Why the standard output takes no more, of which the rest is then dropped; None where it does."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError as error:
        drop_output()
        return error.strerror
    return None


def drop_output() -> None:
    """Has the standard output lead nowhere, so that what is left of it cannot fail when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
