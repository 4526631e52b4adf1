"""The command line: reads all runs, compares them, and writes or serves what they come to."""

from collections.abc import Sequence

from marlpipe.compare.comparing import comparison
from marlpipe.compare.options import HELP, parsed
from marlpipe.compare.serving import watch
from marlpipe.compare.written import write
from marlpipe.records.enclosed import check_inside


def run(arguments: Sequence[str]) -> int:
    """Prints where the files are, or the address. UserError for what cannot be read, written or looked for."""
    if "--help" in arguments or "-h" in arguments:
        print(HELP, end="")
        return 0
    options = parsed(arguments)
    if options.watch:
        watch(options.folders, lambda address: print(f"{address}  until Ctrl-C", flush=True))
    beside = options.folders[0] / "comparison"
    if options.out is None:
        check_inside(beside, options.folders[0])
    for file in write(comparison(options.folders), options.out or beside):
        print(file)
    return 0
