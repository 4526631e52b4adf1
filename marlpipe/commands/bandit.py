"""`python -m marlpipe bandit partition=singletons,pairs,full seed=0,1,2`."""

from marlpipe.bandit.command import run

__all__ = ["run"]
