"""What can be the name of a project, a person or a run in W&B."""

import re

NAME = re.compile(r"[^\s/\\#?%:,]{1,128}")  # W&B's own rule
