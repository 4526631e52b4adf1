"""Makes untrusted text from run folders safe to print on a terminal."""

import unicodedata
from collections.abc import Sequence

UNSEEN = {"Cc", "Cf", "Cs"}  # control, format such as a reversal of direction, half of a character


def printable(text: str, keep: str = "\n\t") -> str:
    """The text without characters that move the cursor, change colours, or hide other text."""
    return "".join(letter for letter in text if letter in keep or unicodedata.category(letter) not in UNSEEN)


def first_few(lines: Sequence[str], most: int, *, indent: str = "") -> list[str]:
    """At most so many lines, and one more that says how many are left out."""
    left_out = len(lines) - most
    return [f"{indent}{line}" for line in [*lines[:most], *([f"… and {left_out} more"] if left_out > 0 else [])]]
