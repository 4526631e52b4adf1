"""What all runs of a local grid share: imported once, after their code, by the process that they are copies of."""

import gc

from marlpipe.runs.provenance import software_and_machine

software_and_machine()  # it remembers what it found out about packages, code and machine
gc.freeze()  # a collection that looked at what is shared would touch, and so copy, all of it in every run
