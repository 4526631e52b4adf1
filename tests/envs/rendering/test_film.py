"""Films open again with the frames that went in; what cannot be written leaves nothing behind, and says why."""

import errno
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from imageio_ffmpeg import count_frames_and_secs, get_ffmpeg_exe
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from marlpipe.envs.rendering.film import WRITERS, moving_format, write_film
from marlpipe.errors import UserError

Frame = UInt8[ndarray, "H W 3"]
HEIGHT, WIDTH = 48, 66  # even, but no multiples of 16


def frame(number: int) -> Frame:
    """A red bar that wanders over blue."""
    picture = numpy.full((HEIGHT, WIDTH, 3), (0, 0, 200), dtype=numpy.uint8)
    picture[:, 5 * number : 5 * number + 10] = (220, 30, 30)
    return picture


def frames(n: int = 10) -> Iterator[Frame]:
    return map(frame, range(n))


def near(left: Frame, right: Frame) -> bool:
    """But for what compression does to it."""
    return bool(numpy.abs(left.astype(int) - right.astype(int)).mean() < 8)


def test_mp4(tmp_path: Path) -> None:
    write_film(frames(), tmp_path / "film.mp4", 5.0)
    assert count_frames_and_secs(str(tmp_path / "film.mp4")) == (10, 2.0)
    decode = [get_ffmpeg_exe(), "-i", str(tmp_path / "film.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    film = subprocess.run(decode, capture_output=True, check=True)
    assert re.search(r"Video: h264 .* yuv420p\(.* 66x48.* 5 fps", film.stderr.decode())
    shown = numpy.frombuffer(film.stdout, numpy.uint8).reshape(10, HEIGHT, WIDTH, 3)
    assert all(near(picture, frame(number)) for number, picture in enumerate(shown))
    assert not near(shown[0], shown[-1])


@pytest.mark.parametrize(("fps", "duration_ms"), [(5.0, 200), (30.0, 30), (100.0, 20)])
def test_gif(fps: float, duration_ms: int, tmp_path: Path) -> None:
    write_film(frames(), tmp_path / "film.gif", fps)
    with Image.open(tmp_path / "film.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (10, (WIDTH, HEIGHT), 0)
        for number in range(10):
            film.seek(number)
            assert film.info["duration"] == duration_ms
            assert near(numpy.array(film.convert("RGB")), frame(number))


def test_a_colour_that_comes_late_stays_itself_in_a_gif(tmp_path: Path) -> None:
    grey, red = (numpy.full((8, 8, 3), colour, dtype=numpy.uint8) for colour in ((90, 90, 90), (208, 48, 48)))
    write_film([grey, grey, red], tmp_path / "film.gif", 10.0)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.info["duration"] == 200  # the two equal ones are one
        film.seek(film.n_frames - 1)
        assert near(numpy.array(film.convert("RGB")), red)


def test_fewer_colours_make_a_smaller_gif(tmp_path: Path) -> None:
    noise = numpy.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), dtype=numpy.uint8)
    for colours in (8, 256):
        write_film(noise, tmp_path / f"{colours}.gif", 5.0, colours=colours)
    assert 2 * (tmp_path / "8.gif").stat().st_size < (tmp_path / "256.gif").stat().st_size
    with Image.open(tmp_path / "8.gif") as film:
        assert len(film.convert("RGB").getcolors()) <= 8


def test_png_is_the_last_frame(tmp_path: Path) -> None:
    write_film(frames(3), tmp_path / "film.png", 5.0)
    with Image.open(tmp_path / "film.png") as picture:
        assert (numpy.array(picture) == frame(2)).all()


def test_one_frame_is_drawn_at_a_time(tmp_path: Path) -> None:
    alive = 0

    class Counted(ndarray):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def drawn() -> Iterator[Frame]:
        nonlocal alive
        for number in range(10):
            picture = frame(number).view(Counted)
            alive += 1
            assert alive <= 3
            yield picture

    write_film(drawn(), tmp_path / "film.mp4", 5.0)
    assert count_frames_and_secs(str(tmp_path / "film.mp4"))[0] == 10


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".png"])
def test_what_is_cut_off_leaves_the_old_film(suffix: str, tmp_path: Path) -> None:
    def cut_off() -> Iterator[Frame]:
        yield frame(0)
        raise KeyboardInterrupt

    path = tmp_path / f"film{suffix}"
    write_film(frames(2), path, 5.0)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_film(cut_off(), path, 5.0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".png"])
def test_a_folder_that_is_not_there(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "gone" / f"film{suffix}"
    with pytest.raises(UserError, match=f"(?s)cannot write {path}: .*No such file or directory.*Check that the path"):
        write_film(frames(), path, 5.0)


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".png"])
def test_a_full_disk_is_told(suffix: str, tmp_path: Path) -> None:
    full = tmp_path / f"full{suffix}"
    full.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as told:
        WRITERS[suffix](frames(200), full, 5.0, 256)
    assert told.value.errno == errno.ENOSPC


def test_without_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert moving_format() == ".mp4"
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert moving_format() == ".gif"
    with pytest.raises(UserError, match=r"(?s)mp4 needs ffmpeg.*pip install 'imageio-ffmpeg\S+', or --format gif"):
        write_film(frames(), tmp_path / "film.mp4", 5.0)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'.mp3' does not exist. Did you mean '.mp4'\?\n  valid: .gif, .mp4, .png"):
        write_film(frames(), tmp_path / "film.mp3", 5.0)
