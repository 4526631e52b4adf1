"""The pictures that lie in a run's folder, as they can stand in a page."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marlpipe.errors import UserError
from marlpipe.records.enclosed import check_inside
from marlpipe.records.folder import RunFolder
from marlpipe.records.plain_text import plain

PLACES = ("figures", "evaluation")  # below the run's folder
LARGEST = 150_000  # bytes of one picture
LARGEST_SUM = 2_500_000  # bytes of all pictures of a page: a page has to open at once
MOST = 12  # of a run
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A PNG file. `source` is a data URI, or None where it was left out; `name` says why then."""

    name: str
    source: str | None


class Album:
    """Hands out pictures until the page is full."""

    def __init__(self) -> None:
        self.left = LARGEST_SUM

    def of(self, folder: RunFolder) -> Iterator[Picture]:
        """The first pictures of a run, small enough or not; never from outside of its folder."""
        paths = [path for place in PLACES for path in sorted((folder.path / place).glob("*.png"))]
        for path in paths[:MOST]:
            yield self._picture(path, folder)
        if len(paths) > MOST:
            yield Picture(f"and {len(paths) - MOST} more in the run's folder", None)

    def _picture(self, path: Path, folder: RunFolder) -> Picture:
        name = plain(str(path.relative_to(folder.path)), keep="")
        try:
            check_inside(path, folder.path)
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except (OSError, UserError):
            return Picture(f"{name}: cannot be read", None)
        if not content.startswith(PNG):
            return Picture(f"{name}: is no PNG file", None)
        if len(content) > min(LARGEST, self.left):
            return Picture(f"{name}: left out, it is too large for this page", None)
        self.left -= len(content)
        return Picture(name, f"data:image/png;base64,{b64encode(content).decode()}")
