"""Makes untrusted text from run folders safe to print on a terminal."""

import unicodedata

UNSEEN = {"Cc", "Cf", "Cs"}  # control, format such as a reversal of direction, half of a character


def printable(text: str, keep: str = "\n\t") -> str:
    """The text without characters that move the cursor, change colours, or hide other text."""
    return "".join(letter for letter in text if letter in keep or unicodedata.category(letter) not in UNSEEN)
