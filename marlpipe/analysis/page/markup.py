"""Builds HTML in which every text is escaped: the content of run folders is untrusted."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from marlpipe.runs.text import printable

UNKNOWN = "–"


class Html(str):
    """Text that is already escaped HTML."""


class Column(NamedTuple):
    """A column of a table."""

    heading: str | Html
    number: bool = True  # aligned right


def safe(text: str | Html) -> Html:
    """Escaped text; HTML unchanged."""
    return text if isinstance(text, Html) else Html(escape(printable(text)))


def element(name: str, *inside: str | Html, **attributes: str) -> Html:
    """An element; `class_` is the attribute class, and underscores in attribute names become hyphens."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{safe(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{''.join(map(safe, inside))}</{name}>")


def joined(parts: Iterable[str | Html]) -> Html:
    return Html("".join(map(safe, parts)))


def listed(sentences: Sequence[str | Html], **attributes: str) -> Html:
    """An unordered list; empty without sentences."""
    return element("ul", *(element("li", one) for one in sentences), **attributes) if sentences else Html("")


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[str | Html]]) -> Html:
    """A table that scrolls sideways, also by keyboard; the first cell of each row is its heading."""
    kinds = ["number" if column.number else "text" for column in columns]
    head = element(
        "tr", *(element("th", c.heading, scope="col", class_=k) for c, k in zip(columns, kinds, strict=True))
    )
    body = [element("tr", element("th", row[0], scope="row"), *map(_cell, row[1:], kinds[1:])) for row in rows]
    whole = element("table", element("thead", head), element("tbody", *body))
    scrolled = element("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)
    return joined([element("p", caption, class_="caption"), scrolled])


def swatch(number: int, name: str | Html) -> Html:
    """An arm's name after a swatch of its colour; after seven arms colours repeat with another dash."""
    return element("span", element("i", class_=f"swatch c{number % 7} d{number // 7 % 3}"), name, class_="arm")


def rounded(value: float, digits: int = 4) -> str:
    """A dash for NaN, "never" for infinity."""
    if math.isinf(value):
        return "never"
    return UNKNOWN if math.isnan(value) else f"{value:,.{digits}g}"


def bracketed(point: float, low: float, high: float) -> Html:
    """A number, followed by its interval where it has one."""
    if math.isnan(low):
        return safe(rounded(point))
    return joined([rounded(point), " ", element("small", f"[{rounded(low, 3)}, {rounded(high, 3)}]")])


def _cell(content: str | Html, kind: str) -> Html:
    return element("td", content, class_=kind)
