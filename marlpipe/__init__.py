"""marlpipe: reproduce, compare and extend cooperative value-factorization MARL."""

__version__ = "0.1.0"
