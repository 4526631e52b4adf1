"""How every command ends: its exit status, and a message instead of a traceback."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from marlpipe.errors import UserError
from marlpipe.runs.text import printable


def exit_with(run: Callable[[Sequence[str]], int]) -> NoReturn:
    """Runs a command on the process's arguments and exits with what it returns: 0 if all went well, 1 if not.

    It exits with 2 for what the user has to mend first, such as bad input or a full disk, and with 130 after Ctrl-C.
    """
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
        sys.exit(status)
    except UserError as error:
        print(printable(f"marlpipe: {error}"), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as stop:
        print(" ".join(["marlpipe: stopped.", *map(str, stop.args)]).rstrip(), file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the program that reads our output has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        from rich.console import Console  # a tenth of a second, for what should not happen

        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print(f"marlpipe: unexpected {type(error).__name__}: {error}", markup=False)
        console.print("  Please report it with the traceback, which follows.")
        console.print_exception()
        sys.exit(1)
