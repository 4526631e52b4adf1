"""How every command ends: what its exit status says, and what a person is told instead of a traceback."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from rich.console import Console

from marlpipe.errors import UserError
from marlpipe.runs.text import printable


def exit_with(run: Callable[[Sequence[str]], int], *, stopped: str = "") -> NoReturn:
    """Runs a command on the process's arguments and exits with what it returns: 0 if all went well, 1 if not.

    It exits with 2 for what the user has to mend first, such as bad input or a full disk, and with 130 after Ctrl-C.

    Args:
        stopped: what the user should know after Ctrl-C.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        sys.exit(run(sys.argv[1:]))
    except UserError as error:
        console.print(printable(f"marlpipe: {error}"), markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print(f"marlpipe: stopped. {stopped}".rstrip(), markup=False)
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        console.print(f"marlpipe: unexpected {type(error).__name__}: {error}", markup=False)
        console.print("  Please report it with the traceback, which follows.")
        console.print_exception()
        sys.exit(1)
