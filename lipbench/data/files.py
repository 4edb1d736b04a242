"""The image files of a folder or a zip: their names, and how to read one.

Links in a folder are followed, and no file is read twice: where a file or folder is reached a
second time through a link, it is refused. So is an empty folder beside folders of images. Hidden
files and `__MACOSX` are passed over. Any other file whose suffix is not that of an image is
counted. Nothing that is not a regular file is opened.
"""

from __future__ import annotations

import functools
import hashlib
import lzma
import os
import posixpath
import re
import stat
import tarfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from PIL import Image

from lipbench import paths
from lipbench.errors import UserError

LARGEST_FILE = 2**28  # bytes of one image file: 256 MiB, which no picture of a dataset needs
# Formats of documents, videos and measurements; of these Pillow decodes the first frame, runs
# another program, or nothing.
_NO_PICTURES = {"BUFR", "EPS", "FLI", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
# A damaged zip file shows as any of these.
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # of a member that is encrypted; NotImplementedError, of its compression
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


@dataclass(frozen=True)
class Files:
    """The image files of a folder or a zip."""

    root: Path
    names: tuple[str, ...]  # relative to the root, with slashes, sorted
    others: tuple[str, ...]  # files that are no images by their suffix, hidden ones apart
    signature: str  # changes when a file does, as told by names, sizes and times
    read: Callable[[str], bytes]  # raises UserError where a file cannot be read
    sizes: Mapping[str, int] = field(default_factory=dict)  # in bytes, of each name

    def refuse(self, name: str, reason: object) -> UserError:
        """Return the error of one file."""
        return UserError(f"{shown(self.root)}: {shown(name)} {reason}")


def find(path: Path) -> Files:
    """Return the image files under a path.

    Raises UserError where there are none, and for a file or link that cannot be taken, by name.
    """
    root = paths.expanded(path)
    try:
        kind = root.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"dataset.path {shown(path)} does not exist; give a folder or zip of images"
        ) from None
    except OSError as error:
        raise UserError(f"dataset.path {shown(path)}: {error.strerror or error}") from error
    if stat.S_ISDIR(kind):
        found = _in_folder(root)
    elif stat.S_ISREG(kind):
        found = _in_zip(root)
    else:
        raise UserError(f"dataset.path {shown(path)} is neither a folder nor a file")
    for name in found.names:
        if not _is_utf8(name):
            raise found.refuse(name, "has a name that is not UTF-8; rename it")
    if not found.names:
        holds = _kinds(found.others)
        instead = f"its files are {holds}" if holds else "it has no files"
        raise UserError(f"dataset.path {shown(path)} holds no images that Pillow reads: {instead}")
    return found


def fingerprint(files: Files, what: str) -> str:
    """Return a hash of the files' names and sizes: of those that take too long to read at once.

    `what` says what is made of them.
    """
    marks = "".join(f"{name}\0{files.sizes[name]}\n" for name in files.names)
    return hashlib.sha256(f"{what}\n{marks}".encode()).hexdigest()


def notes(files: Files) -> tuple[str, ...]:
    """Return a sentence on the files that are no images, if there are any."""
    if not files.others:
        return ()
    count = len(files.others)
    return (f"files left out because they are no images: {count:,}, {_kinds(files.others)}",)


def shown(name: object) -> str:
    """Return a name for one line: characters that cannot be printed are escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(name))


@functools.cache
def formats() -> dict[str, str]:
    """Return the format of each suffix of the images that the installed Pillow reads."""
    known = Image.registered_extensions()
    return {
        suffix: format_
        for suffix, format_ in known.items()
        if format_ in Image.OPEN and format_ not in _NO_PICTURES
    }


def _in_folder(root: Path) -> Files:
    sizes, others, empty, marks = {}, [], [], [str(root.resolve())]
    for name, path in _walk(root):
        if name.endswith("/"):
            empty.append(PurePosixPath(name))
            continue
        if not _is_image(name):
            others.append(name)
            continue
        try:
            facts = os.stat(path)
        except OSError as error:
            raise UserError(f"{shown(root)}: {shown(name)}: {error.strerror}") from error
        if not stat.S_ISREG(facts.st_mode):
            raise UserError(f"{shown(root)}: {shown(name)} is not a regular file; remove it")
        _check_size(root, name, facts.st_size)
        sizes[name] = facts.st_size
        marks.append(f"{name} {path} {facts.st_size} {facts.st_mtime_ns}")

    classes = {PurePosixPath(name).parent.parent for name in sizes if name.count("/")}
    for folder in empty:
        if folder.parent in classes:
            raise UserError(
                f"{shown(root)}: the folder {shown(folder)} is empty, and those beside it hold "
                "images; remove it, or put its images there"
            )
    names = tuple(sorted(sizes))
    return Files(root, names, tuple(others), _signature(marks), reader(root), sizes)


def reader(root: Path) -> Callable[[str], bytes]:
    """Return a function from a name below a folder to the file's content; see `Files.read`."""

    def read(name: str) -> bytes:
        try:
            return (root / name).read_bytes()
        except OSError as error:
            raise UserError(f"{shown(root)}: {shown(name)}: {error.strerror}") from error

    return read


def _walk(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, real path) of all that is no folder, and of empty folders, as "name/".

    Folders are entered once.
    """
    real_root = os.path.realpath(root)
    seen = {real_root: "the folder itself"}
    pending = [("", real_root)]
    while pending:
        folder, real_folder = pending.pop(0)
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"cannot read {shown(root / folder)}: {error.strerror}") from error
        if all(_is_hidden(entry.name) for entry in entries):
            yield f"{folder}/", real_folder
        for entry in entries:
            name = posixpath.join(folder, entry.name)
            if _is_hidden(entry.name):
                continue
            real = os.path.join(real_folder, entry.name)
            if entry.is_symlink():
                real = _target(root, name, entry.path)
            is_folder = os.path.isdir(real)
            if real in seen and (is_folder or _is_image(name)):
                raise UserError(
                    f"{shown(root)}: {shown(name)} and {shown(seen[real])} are the same, through "
                    "a link; nothing is read twice: remove the link"
                )
            seen[real] = name
            if is_folder:
                pending.append((name, real))
            else:
                yield name, real


def _target(root: Path, name: str, link: str) -> str:
    try:
        return os.path.realpath(link, strict=True)
    except OSError as error:
        to = shown(os.readlink(link))
        raise UserError(
            f"{shown(root)}: {shown(name)} is a link to {to}, which cannot be read "
            f"({error.strerror}); mend or remove it"
        ) from error


def _in_zip(root: Path) -> Files:
    try:
        archive = zipfile.ZipFile(root)
        facts = root.stat()
    except _DAMAGE as error:
        what = "a tar archive" if _is_tar(root) else "neither a folder nor a zip file"
        raise UserError(
            f"dataset.path {shown(root)} is {what} ({error}); give a folder or a zip of images"
        ) from error
    members: dict[str, zipfile.ZipInfo] = {}
    others = []
    for member in archive.infolist():
        name = _member_name(member)
        if name.endswith("/") or any(map(_is_hidden, name.split("/"))):
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(f"{shown(root)}: {shown(name)} is a link; zip the file itself")
        if not _is_image(name):
            others.append(name)
            continue
        if name in members:
            raise UserError(f"{shown(root)}: two members are called {shown(name)}; remove one")
        _check_size(root, name, member.file_size)
        members[name] = member
    lock = threading.Lock()

    def read(name: str) -> bytes:
        member = members[name]
        where = f"{shown(root)}: {shown(name)}"
        if member.flag_bits & 1:
            raise UserError(f"{where} is encrypted; give a zip without a password")
        try:
            with lock:  # one file handle, several decoding threads
                return archive.read(member)
        except NotImplementedError as error:
            raise UserError(
                f"{where} has the compression method {member.compress_type}, which Python does "
                "not read; zip it with deflate"
            ) from error
        except _DAMAGE as error:
            raise UserError(f"{where} is corrupt ({error})") from error

    signature = _signature([str(root.resolve()), f"{facts.st_size} {facts.st_mtime_ns}"])
    sizes = {name: member.file_size for name, member in members.items()}
    return Files(root, tuple(sorted(members)), tuple(others), signature, read, sizes)


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except _DAMAGE:
        return False


def _member_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name with slashes (Windows' zips can have others), below the root."""
    name = re.sub("^[A-Za-z]:", "", member.filename.replace("\\", "/"))
    inside = posixpath.normpath(f"/{name}").lstrip("/")
    return f"{inside}/" if name.endswith("/") else inside


def _check_size(root: Path, name: str, size: int) -> None:
    if size > LARGEST_FILE:
        raise UserError(
            f"{shown(root)}: {shown(name)} has {size:,} bytes; an image file may have "
            f"{LARGEST_FILE:,}"
        )


def _is_hidden(part: str) -> bool:
    return part.startswith((".", "__MACOSX"))


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in formats()


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _signature(marks: Iterable[str]) -> str:
    """Return the marks as one text; a file's name may be any bytes."""
    return "\n".join(marks).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _kinds(names: Iterable[str]) -> str:
    """Return the suffixes of some files with their counts, the most frequent ones first."""
    suffixes = (PurePosixPath(name).suffix.lower() or "without a suffix" for name in names)
    counts = Counter(sorted(suffixes))
    listed = [f"{shown(suffix)} ({count:,})" for suffix, count in counts.most_common(5)]
    return ", ".join([*listed, "..."] if len(counts) > len(listed) else listed)
