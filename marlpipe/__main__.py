"""`python -m marlpipe`."""

import gc
import os

# before torch is loaded: on a machine that others use too, threads that wait by spinning cost an order of magnitude
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
gc.disable()  # almost nothing that an import makes is garbage, and looking for it costs a tenth of the start

from marlpipe.cli import main  # noqa: E402

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
