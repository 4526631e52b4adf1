"""What git knows of some code: its commit, and a patch of what differs from it, of the files that are named only."""

import hashlib
import os
import stat
import subprocess
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LARGEST_FILE = 2**20  # bytes; a larger one is left out of the patch
LARGEST_PATCH = 5 * 2**20  # bytes
PATIENCE_S = 10.0  # for one answer of git
KINDS = (".py", ".yaml")  # of new files in a folder of code
AS_A_PATCH = (
    *("--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short"),
    *("--src-prefix=a/", "--dst-prefix=b/"),
)
NO_OTHER_PLACE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")  # of the hook that started the process
UNTRACKED = "git does not track this code"


@dataclass(frozen=True, kw_only=True)
class CodeState:
    """The commit of some code and what differs from it, as far as git gave an answer."""

    top: Path | None = None  # of the repository
    commit: str | None = None
    dirty: bool | None = None  # None: not known
    patch: bytes = b""  # `git apply` at the top restores it
    error: str | None = None  # why something is not known: `UNTRACKED`, or what went wrong

    @property
    def diff(self) -> str | None:
        """A hash of the patch; None without one."""
        return hashlib.sha256(self.patch).hexdigest()[:16] if self.patch else None

    @property
    def failed(self) -> bool:
        """Whether git was asked and gave no answer."""
        return self.error not in (None, UNTRACKED)


class _NoAnswer(Exception):  # noqa: N818 ends in a `CodeState`
    """Git gave none; the message says why, and how to get one."""


def code_state(code: Sequence[Path], *, tracked: bool = True) -> CodeState:
    """The state of files and folders of one repository.

    The patch covers changes in tracked files among `code`, its new files, and new Python and YAML files in its
    folders, but for ignored ones and those of run folders. A file above `LARGEST_FILE`, or past `LARGEST_PATCH` of all
    together, is named in a comment, with size and hash, in place of its patch.

    Args:
        code: existing paths, the first of which decides on the repository.
        tracked: whether the first one has to have a tracked file: an ignored virtual environment in somebody's
            repository has a commit, too, but not its own.
    """
    if repository(code[0]) is None:
        return CodeState(error=UNTRACKED)
    code = [path.resolve() for path in code]
    folder = code[0] if code[0].is_dir() else code[0].parent
    top, commit = None, None
    patches: list[bytes] = []
    try:
        top = Path(os.fsdecode(_git(["rev-parse", "--show-toplevel"], folder).rstrip(b"\n"))).resolve()
        names = [path.relative_to(top).as_posix() for path in code if path.is_relative_to(top)]
        if not names or (tracked and not _git(["ls-files", "-z", "--", names[0]], top)):
            return CodeState(error=UNTRACKED)
        commit = _git(["rev-parse", "--verify", "HEAD"], top).decode().strip()
        patches.extend(_patches(top, names))
    except _NoAnswer as error:
        return CodeState(top=top, commit=commit, patch=b"".join(patches), error=str(error))
    return CodeState(top=top, commit=commit, dirty=bool(patches), patch=b"".join(patches))


def repository(path: Path) -> Path | None:
    """The closest folder at or around a path with a git repository, which git may refuse; None without one."""
    path = path.resolve()
    return next((folder for folder in (path, *path.parents) if (folder / ".git").exists()), None)


def _patches(top: Path, names: Sequence[str]) -> Iterator[bytes]:
    """For each file that differs one patch, or one comment."""
    changed = _listed(["diff", "--name-only", "--no-renames", "-z", "HEAD", "--", *names], top)
    sizes = _committed_sizes(changed, top)
    room = LARGEST_PATCH
    for name in [*changed, *(new for new in _new_files(top, names) if new not in changed)]:
        file = top / name
        patch = None
        if max(sizes.get(name, 0), _size(file)) <= LARGEST_FILE and room > 0:
            patch = (
                _git(["diff", *AS_A_PATCH, "--no-renames", "HEAD", "--", name], top)
                if name in changed
                else _git(["diff", "--no-index", *AS_A_PATCH, "--", os.devnull, name], top, accepted=(0, 1))
            )
        if patch is None or len(patch) > room:
            yield f"# left out: {name!r}, {_described(file)}\n".encode()
        else:
            room -= len(patch)
            yield patch


def _new_files(top: Path, names: Sequence[str]) -> list[str]:
    """Files that git neither tracks nor ignores."""
    found = _listed(["ls-files", "-z", "--others", "--exclude-standard", "--", *names], top)
    return [
        name
        for name in found
        if (name in names or name.endswith(KINDS))
        and not any((top / folder / "status.json").exists() for folder in Path(name).parents)
    ]


def _committed_sizes(names: Sequence[str], top: Path) -> dict[str, int]:
    """Bytes of each file as committed."""
    if not names:
        return {}
    lines = _listed(["ls-tree", "-z", "--long", "HEAD", "--", *names], top)
    told = [line.partition("\t") for line in lines]
    return {name: int(size) for about, _, name in told if (size := about.split()[-1]).isdigit()}


def _size(file: Path) -> int:
    with suppress(OSError):
        return file.lstat().st_size
    return 0


def _described(file: Path) -> str:
    """Size and hash of a file."""
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            return "no regular file"
        with file.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return f"{_size(file)} bytes, sha256 {digest}"
    except FileNotFoundError:
        return "deleted"
    except OSError as error:
        return f"not readable: {error.strerror}"


def _listed(arguments: Sequence[str], top: Path) -> list[str]:
    return [os.fsdecode(name) for name in _git(arguments, top).split(b"\0") if name]


def _git(arguments: Sequence[str], folder: Path, accepted: Collection[int] = (0,)) -> bytes:
    """What git prints. _NoAnswer where there is no git, or it refuses or takes too long."""
    told = {name: value for name, value in os.environ.items() if name not in NO_OTHER_PLACE}
    doing = f"git {arguments[0]}"
    try:
        done = subprocess.run(
            ["git", "--literal-pathspecs", *arguments],
            cwd=folder,
            env={**told, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except FileNotFoundError:
        raise _NoAnswer("there is no program git: install it to have commit and changes recorded") from None
    except subprocess.TimeoutExpired:
        raise _NoAnswer(f"{doing} in {folder} took longer than {PATIENCE_S:.0f} s") from None
    except OSError as error:
        raise _NoAnswer(f"{doing} cannot be started: {error.strerror}") from None
    if done.returncode in accepted:
        return done.stdout
    said = done.stderr.decode(errors="replace").strip()
    if "dubious ownership" in said:
        place = said.partition("repository at '")[2].partition("'")[0] or str(folder)
        raise _NoAnswer(
            f"git refuses to read {place}, which belongs to another account; "
            f"to allow it: git config --global --add safe.directory {place}"
        )
    raise _NoAnswer(f"{doing} in {folder} failed: {said.splitlines()[0] if said else f'status {done.returncode}'}")
