"""`python -m marlpipe`."""

import os

# before torch is loaded: on a machine that others use too, threads that wait by spinning cost an order of magnitude
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from marlpipe.cli import main

if __name__ == "__main__":
    main()
