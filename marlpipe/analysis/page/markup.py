"""HTML of which every text is escaped: what stands in a folder is shown, and never does anything."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from marlpipe.runs.text import printable

UNKNOWN = "–"


class Html(str):
    """Text that is HTML already."""


class Column(NamedTuple):
    """Of a table."""

    heading: str | Html
    number: bool = True  # set flush right


def safe(text: str | Html) -> Html:
    """The text as it reads; HTML as it is."""
    return text if isinstance(text, Html) else Html(escape(printable(text)))


def element(name: str, *inside: str | Html, **attributes: str) -> Html:
    """An element; `class_` is the attribute class, an underscore in a name a hyphen."""
    told = "".join(f' {key.rstrip("_").replace("_", "-")}="{safe(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{told}>{''.join(map(safe, inside))}</{name}>")


def joined(parts: Iterable[str | Html]) -> Html:
    return Html("".join(map(safe, parts)))


def listed(sentences: Sequence[str | Html], **attributes: str) -> Html:
    """A list of sentences; nothing where there is none."""
    return element("ul", *(element("li", one) for one in sentences), **attributes) if sentences else Html("")


def table(caption: str, columns: Sequence[Column], rows: Iterable[Sequence[str | Html]]) -> Html:
    """The first cell of a row is its heading. What is too wide is scrolled by itself, also by the keyboard."""
    kinds = ["number" if column.number else "text" for column in columns]
    head = element(
        "tr", *(element("th", c.heading, scope="col", class_=k) for c, k in zip(columns, kinds, strict=True))
    )
    body = [element("tr", element("th", row[0], scope="row"), *map(_cell, row[1:], kinds[1:])) for row in rows]
    whole = element("table", element("thead", head), element("tbody", *body))
    scrolled = element("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)
    return joined([element("p", caption, class_="caption"), scrolled])


def swatch(number: int, name: str | Html) -> Html:
    """An arm's name behind its colour; seven colours, then the same with another dash."""
    return element("span", element("i", class_=f"swatch c{number % 7} d{number // 7 % 3}"), name, class_="arm")


def rounded(value: float, digits: int = 4) -> str:
    """A dash for what is not known."""
    if math.isinf(value):
        return "never"
    return UNKNOWN if math.isnan(value) else f"{value:,.{digits}g}"


def bracketed(point: float, low: float, high: float) -> Html:
    """A number with its interval, where it has one."""
    if math.isnan(low):
        return safe(rounded(point))
    return joined([rounded(point), " ", element("small", f"[{rounded(low, 3)}, {rounded(high, 3)}]")])


def _cell(content: str | Html, kind: str) -> Html:
    return element("td", content, class_=kind)
