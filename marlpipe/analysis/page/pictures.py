"""The pictures and films of a run's folder, embedded in the page as data URIs."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from marlpipe.errors import UserError
from marlpipe.runs.folder import PICTURES, RunFolder
from marlpipe.runs.links import check_inside
from marlpipe.runs.text import printable

PLACES = ("figures", "evaluation")  # below the run's folder, in addition to `RunFolder.pictures`
LARGEST = 150_000  # bytes of one picture
LARGEST_SUM = 2_500_000  # bytes of all pictures of a page, so that it opens quickly
KEPT_FREE = LARGEST_SUM // 2  # bytes reserved for the first picture of each run
MOST = 12  # pictures of a run
KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"GIF87a": "gif", b"GIF89a": "gif"}  # by the first bytes of the file


@dataclass(frozen=True)
class Picture:
    """A PNG or GIF file. `source` is a data URI, or None where it was left out, with the reason in `name`."""

    name: str
    source: str | None


class Album:
    """Embeds pictures up to a total size, half of which is reserved for the first picture of each run.

    The first picture is that of the last evaluation: where not all fit, every run shows its last one.
    """

    def __init__(self) -> None:
        self.left = LARGEST_SUM

    def of(self, folder: RunFolder) -> Iterator[Picture]:
        """The first `MOST` pictures of a run, with the reason for each that is left out."""
        paths = [*reversed(pictures_in(folder.pictures))]
        paths += [path for place in PLACES for path in pictures_in(folder.path / place)]
        for number, path in enumerate(paths[:MOST]):
            yield self._picture(path, folder, room=self.left - (KEPT_FREE if number else 0))
        if len(paths) > MOST:
            yield Picture(f"and {len(paths) - MOST} more in the run's folder", None)

    def _picture(self, path: Path, folder: RunFolder, room: int) -> Picture:
        name = printable(str(path.relative_to(folder.path)), keep="")
        unreadable = Picture(f"{name}: cannot be read", None)
        if not path.is_file():  # opening a named pipe would block
            return unreadable
        try:
            check_inside(path, folder.path)
            with path.open("rb") as file:
                content = file.read(LARGEST + 1)
        except (OSError, UserError):
            return unreadable
        kind = next((kind for beginning, kind in KINDS.items() if content.startswith(beginning)), None)
        if kind is None:
            return Picture(f"{name}: is neither a PNG nor a GIF file", None)
        if len(content) > min(LARGEST, room):
            return Picture(f"{name}: left out, it is too large for this page", None)
        self.left -= len(content)
        return Picture(name, f"data:image/{kind};base64,{b64encode(content).decode()}")


def pictures_in(place: Path) -> list[Path]:
    """Sorted by name, which sorts pictures of evaluations by env steps; without unfinished files."""
    return sorted(path for path in place.glob("[!.]*") if path.suffix in PICTURES)
