"""How fast marlpipe is, beside what the machine could do at best."""

import os

# before torch is loaded, as marlpipe's own command has it: what waits by spinning takes the core of what works
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
