"""Writes frames to a file: a film as MP4 or GIF, a single picture as PNG."""

import os
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from errno import errorcode
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from marlpipe.errors import UserError, unknown
from marlpipe.runs.extras import install
from marlpipe.runs.files import replacing

Frame = UInt8[ndarray, "H W 3"]


def write_film(frames: Iterable[Frame], path: Path, fps: float, *, colours: int = 256) -> None:
    """Writes frames of one size, at least one, as they arrive; the suffix of the path selects the format.

    PNG keeps the last frame only. GIF rounds durations to hundredths of a second, and loops.

    Args:
        fps: frames per second.
        colours: of a frame of a GIF, at most; fewer make a smaller file.

    Raises:
        UserError: the file cannot be written, its suffix is not in `WRITERS`, or ffmpeg, which writes MP4, is missing.
    """
    if path.suffix not in WRITERS:
        raise unknown("the film format", path.suffix, WRITERS)
    unfinished = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with replacing(path, unfinished):
            WRITERS[path.suffix](frames, unfinished, fps, colours)
    finally:
        unfinished.unlink(missing_ok=True)


def moving_format() -> str:
    """The suffix of the best film format that is available."""
    return ".mp4" if find_spec("imageio_ffmpeg") else ".gif"


def _write_png(frames: Iterable[Frame], path: Path, fps: float, colours: int) -> None:
    del fps, colours
    *_, last = frames
    Image.fromarray(last).save(path)


def _write_gif(frames: Iterable[Frame], path: Path, fps: float, colours: int) -> None:
    """A palette per frame, computed by the fast octree method, so that colours of late frames are kept."""
    octree = Image.Quantize.FASTOCTREE
    first, *others = (
        Image.fromarray(frame).quantize(colours, method=octree, dither=Image.Dither.NONE) for frame in frames
    )
    shortest = 20  # ms; browsers slow down shorter frames
    first.save(path, save_all=True, append_images=others, duration=max(shortest, round(100 / fps) * 10), loop=0)


def _write_mp4(frames: Iterable[Frame], path: Path, fps: float, colours: int) -> None:
    """As H.264 that all players understand, by ffmpeg, which reads the raw frames from a pipe."""
    del colours
    try:
        ffmpeg = import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"{path.suffix[1:]} needs ffmpeg, which is not installed: {error}\n"
            f"  next: {install('video')}, or --format gif, which needs no further package"
        ) from error
    rest = iter(frames)
    first = next(rest)
    height, width, _ = first.shape
    source = ("-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}", "-framerate", f"{fps}")
    target = ("-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart")
    command = [ffmpeg, "-v", "error", "-y", *source, "-i", "-", *target, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        with suppress(BrokenPipeError), process.stdin as pipe:  # broken if ffmpeg gives up; it says why
            for frame in chain([first], rest):
                pipe.write(frame.tobytes())
        said = process.stderr.read().decode(errors="replace")
    if process.returncode:
        number = 256 - process.returncode  # ffmpeg exits with the negated errno, as a byte
        raise OSError(number, os.strerror(number) if number in errorcode else said.strip() or "ffmpeg has failed")


WRITERS: dict[str, Callable[[Iterable[Frame], Path, float, int], None]] = {
    ".png": _write_png,
    ".gif": _write_gif,
    ".mp4": _write_mp4,
}
