"""Text from a folder that anyone may have written, on its way to a terminal."""

import unicodedata

UNSEEN = {"Cc", "Cf", "Cs"}  # control, format such as a reversal of direction, half of a character


def printable(text: str, keep: str = "\n\t") -> str:
    """The text without the characters that move a cursor, recolour a terminal, or hide what stands there."""
    return "".join(letter for letter in text if letter in keep or unicodedata.category(letter) not in UNSEEN)
