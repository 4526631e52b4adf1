"""How fast marlpipe is, relative to what the machine can do at best."""

import os

# before torch is loaded, as marlpipe's own command has it: threads that wait by spinning take a working one's core
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
