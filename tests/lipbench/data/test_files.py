"""Which files of a folder or zip are images, and those that are refused, by name, in one line."""

from __future__ import annotations

import os
import shutil
import socket
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lipbench.data import files
from lipbench.errors import UserError


def refusal(path: Path) -> str:
    """Return the message of a path that is refused when its files are listed or read."""

    def read() -> None:
        found = files.find(path)
        for name in found.names:
            found.read(name)

    with pytest.raises(UserError) as refused:
        read()
    message = str(refused.value)
    assert "\n" not in message
    assert " object at 0x" not in message
    return message


def archive(root: Path, target: Path, name: Callable[[str], str] = str) -> Path:
    """Return a zip of a folder whose members' names are made of the files'."""
    with zipfile.ZipFile(target, "w") as opened:
        for path in sorted(root.rglob("*.png")):
            member = zipfile.ZipInfo("member")
            member.filename = name(path.relative_to(root).as_posix())
            opened.writestr(member, path.read_bytes())
    return target


@pytest.fixture
def zipped(root: Path, tmp_path: Path) -> Path:
    return archive(root, tmp_path / "set.zip")


ROOT = (
    *(f"a/{index}.png" for index in range(5)),
    *(f"b/{index}.png" for index in range(5)),
)


@pytest.mark.parametrize(
    ("link", "target", "message"),
    [
        ("a/again", "..", "a/again and the folder itself are the same"),
        ("again", ".", "again and the folder itself are the same"),
        ("c", "a", "c and a are the same"),
        ("_c", "a", "a and _c are the same"),  # the link is listed first
        ("b/copy.png", "../a/0.png", "b/copy.png and a/0.png are the same"),
        ("a/_copy.png", "0.png", "a/_copy.png and a/0.png are the same"),
        ("up", "../..", "up/outer/set and the folder itself are the same"),
        ("a/x.png", "nowhere.png", r"a/x.png is a link to nowhere.png, which cannot be read"),
        ("c", "/nowhere", r"c is a link to /nowhere, which cannot be read"),
        ("x.png", "x.png", r"x.png is a link to x.png, which cannot be read"),
    ],
)
def test_a_link_that_is_no_new_image_is_refused_by_name(
    root: Path, tmp_path: Path, link: str, target: str, message: str
) -> None:
    inside = tmp_path / "outer" / "set"
    shutil.copytree(root, inside)
    (inside / link).symlink_to(target)
    assert message in refusal(inside)


def test_a_farm_of_links_to_other_folders_is_read_as_if_the_files_were_there(
    root: Path, tmp_path: Path
) -> None:
    farm = tmp_path / "farm"
    (farm / "a").mkdir(parents=True)
    for path in (root / "a").iterdir():
        (farm / "a" / path.name).symlink_to(path)
    (farm / "b").symlink_to(root / "b")
    found = files.find(farm)
    assert found.names == ROOT
    assert found.read("b/3.png") == (root / "b" / "3.png").read_bytes()


def test_two_links_to_one_file_are_refused(root: Path, tmp_path: Path) -> None:
    farm = tmp_path / "farm"
    for split in ("test", "train"):
        (farm / split).mkdir(parents=True)
        (farm / split / f"of_{split}.png").symlink_to(root / "a" / "0.png")
    assert "train/of_train.png and test/of_test.png are the same" in refusal(farm)


def test_a_changed_target_of_a_link_changes_the_signature(root: Path, tmp_path: Path) -> None:
    (root / "a" / "5.png").symlink_to(tmp_path / "one.png")
    for name in ("one", "two"):
        (tmp_path / f"{name}.png").write_bytes(b"same size")
        os.utime(tmp_path / f"{name}.png", (0, 0))
    before = files.find(root).signature
    (root / "a" / "5.png").unlink()
    (root / "a" / "5.png").symlink_to(tmp_path / "two.png")
    assert files.find(root).signature != before


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_a_special_file_is_refused_and_never_opened(
    root: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    special = root / "a" / "x.png"
    if kind == "fifo":
        os.mkfifo(special)
    else:
        monkeypatch.chdir(special.parent)  # a socket's path has a short limit
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(special.name)
    assert "a/x.png is not a regular file" in refusal(root)


def test_a_special_file_that_is_no_image_is_no_matter(root: Path) -> None:
    os.mkfifo(root / "a" / "pipe")
    assert files.find(root).names == ROOT


@pytest.mark.parametrize("name", [b"c\xff/0.png", b"a/x\xff.png"])
def test_a_name_that_is_not_utf8_is_refused(root: Path, name: bytes) -> None:
    target = os.path.join(os.fsencode(root), name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(root / "a" / "0.png", target)
    message = refusal(root)
    assert message.endswith(
        r"\udcff"
        + os.fsdecode(name).partition("\udcff")[2]
        + (" has a name that is not UTF-8; rename it")
    )
    message.encode()  # it can be printed


def test_a_name_with_a_line_break_gives_one_line(root: Path) -> None:
    os.mkfifo(root / "a" / "new\nline.png")
    assert r"a/new\nline.png is not a regular file" in refusal(root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["a/0.png", "a"])
def test_what_may_not_be_read_is_named(root: Path, name: str) -> None:
    (root / name).chmod(0)
    try:
        assert f"{name}" in (message := refusal(root))
        assert "Permission denied" in message
    finally:
        (root / name).chmod(0o755)


def test_a_folder_that_cannot_be_listed_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an unreadable one, which root could read."""
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert refusal(root) == f"cannot read {root}/b: Permission denied"


def test_files_that_are_no_images_are_counted_and_hidden_ones_passed_over(root: Path) -> None:
    for name in ("a/Thumbs.db", "a/x.heic", "b/y.HEIC", "README", ".DS_Store", "a/._0.png"):
        (root / name).write_text("x")
    (root / ".ipynb_checkpoints").mkdir()
    (root / ".ipynb_checkpoints" / "0.png").write_text("x")
    (root / "a" / "folder.png").mkdir()
    found = files.find(root)
    assert found.names == ROOT
    assert files.notes(found) == (
        "files left out because they are no images: 4, .heic (2), .db (1), without a suffix (1)",
    )


def test_an_empty_folder_beside_class_folders_is_refused_by_name(root: Path) -> None:
    (root / "c").mkdir()
    (root / "c" / ".DS_Store").write_text("x")
    assert "the folder c is empty, and those beside it hold images" in refusal(root)


def test_a_folder_without_images_says_which_files_it_has(tmp_path: Path) -> None:
    assert "holds no images that Pillow reads: it has no files" in refusal(tmp_path)
    (tmp_path / "x.npy").write_text("x")
    assert "holds no images that Pillow reads: its files are .npy (1)" in refusal(tmp_path)


@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "jpeg", "jfif", "jpe", "pgm", "pbm", "ppm", "bmp", "gif", "webp",
               "tif", "tiff", "jp2", "apng"],
)  # fmt: skip
def test_formats_that_pillow_reads_are_images(suffix: str) -> None:
    assert f".{suffix}" in files.formats()


@pytest.mark.parametrize("suffix", ["pdf", "ps", "eps", "mpg", "h5", "wmf", "txt", ""])
def test_documents_videos_and_measurements_are_no_images(suffix: str) -> None:
    assert f".{suffix}" not in files.formats()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "does not exist"),
        ("set/a/0.png", "is neither a folder nor a zip file"),
        ("set/a/0.png/x", "does not exist"),
        ("text.zip", "is neither a folder nor a zip file"),
        ("empty.zip", "is neither a folder nor a zip file"),
        ("set.tar.gz", "is a tar archive"),
        ("pipe", "is neither a folder nor a file"),
        ("x" * 300, "File name too long"),
        ("~nobody-of-this-name/x", "~nobody-of-this-name stands for no home folder"),
    ],
)
def test_a_path_that_is_no_folder_or_zip_is_explained(
    root: Path, tmp_path: Path, path: str, message: str
) -> None:
    (tmp_path / "text.zip").write_text("not a zip")
    (tmp_path / "empty.zip").write_text("")
    os.mkfifo(tmp_path / "pipe")
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as opened:
        opened.add(root, "set")
    assert message in refusal(Path(path) if path.startswith("~") else tmp_path / path)


@pytest.mark.parametrize(
    "name",
    [
        lambda name: name,
        lambda name: name.replace("/", "\\"),  # as Windows' older programs
        lambda name: f"/{name}",
        lambda name: f"C:\\{name}",
        lambda name: f"./{name}",
        lambda name: f"../../{name}",
        lambda name: f"x/../{name}",
    ],
)
def test_a_zip_has_the_names_of_its_folder(
    root: Path, tmp_path: Path, name: Callable[[str], str]
) -> None:
    found = files.find(archive(root, tmp_path / "x.zip", name))
    assert found.names == ROOT
    assert found.read("a/3.png") == (root / "a" / "3.png").read_bytes()


@pytest.mark.parametrize("name", ["a/0.png", "a\\0.png", "./a/0.png"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(zipped: Path, name: str) -> None:
    with zipfile.ZipFile(zipped, "a") as opened:
        opened.writestr(name, b"another picture")
    assert "two members are called a/0.png" in refusal(zipped)


def test_what_macos_adds_to_a_zip_is_passed_over(zipped: Path) -> None:
    with zipfile.ZipFile(zipped, "a") as opened:
        opened.writestr("__MACOSX/a/._0.png", b"x")
    assert files.find(zipped).names == ROOT
    assert files.find(zipped).others == ()


def test_a_member_that_is_a_link_is_refused(zipped: Path) -> None:
    link = zipfile.ZipInfo("c")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(zipped, "a") as opened:
        opened.writestr(link, "a")
    assert "c is a link" in refusal(zipped)


def test_a_file_of_an_absurd_size_is_refused_before_it_is_read(root: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a/bomb.png", bytes(files.LARGEST_FILE + 1))
    expected = "a/bomb.png has 268,435,457 bytes; an image file may have 268,435,456"
    assert expected in refusal(tmp_path / "x.zip")
    os.truncate(root / "a" / "0.png", 2**40)
    assert "a/0.png has 1,099,511,627,776 bytes" in refusal(root)


def patched(path: Path, local: int, central: int, value: bytes) -> None:
    """Write a value at these offsets of every member's two headers."""
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        at = content.find(signature)
        while at >= 0:
            content[at + offset : at + offset + len(value)] = value
            at = content.find(signature, at + 4)
    path.write_bytes(content)


def test_an_encrypted_member_is_named(zipped: Path) -> None:
    patched(zipped, 6, 8, b"\x01")
    assert refusal(zipped) == f"{zipped}: a/0.png is encrypted; give a zip without a password"


@pytest.mark.parametrize("method", [9, 98, 99])  # deflate64, ppmd, none that there is
def test_a_compression_that_python_does_not_read_is_named(zipped: Path, method: int) -> None:
    patched(zipped, 8, 10, struct.pack("<H", method))
    assert f"a/0.png has the compression method {method}," in refusal(zipped)


@pytest.mark.parametrize("method", [8, 12, 14])
def test_a_member_whose_compression_is_another_is_corrupt(zipped: Path, method: int) -> None:
    patched(zipped, 8, 10, struct.pack("<H", method))
    assert "a/0.png is corrupt (" in refusal(zipped)


def test_a_zip_with_damage_anywhere_is_read_right_or_refused_in_one_line(
    root: Path, tmp_path: Path
) -> None:
    """Of every byte of the headers, and some of the content, one bit is flipped."""
    small = tmp_path / "small"
    (small / "a").mkdir(parents=True)
    content = bytes(range(40))
    for name in ("x.png", "y.png"):
        (small / "a" / name).write_bytes(content)
    path = archive(small, tmp_path / "x.zip")
    sound = path.read_bytes()
    outcomes: list[list[str] | list[bytes]] = []
    for at in range(len(sound)):
        damaged = bytearray(sound)
        damaged[at] ^= 1 << at % 8
        path.write_bytes(damaged)
        try:
            found = files.find(path)
            outcomes.append([found.read(name) for name in found.names])
        except UserError as error:
            outcomes.append(str(error).splitlines())
    refused = [lines for lines in outcomes if isinstance(lines[0], str)]
    read = [contents for contents in outcomes if not isinstance(contents[0], str)]
    assert {len(lines) for lines in refused} == {1}
    assert {part for contents in read for part in contents} == {content}
    assert len(refused) > len(sound) / 3  # dates and attributes decide nothing


@pytest.mark.parametrize("kept", [0, 10, 300, -1])
def test_a_zip_that_is_cut_short_is_refused(zipped: Path, kept: int) -> None:
    zipped.write_bytes(zipped.read_bytes()[:kept])
    assert "is neither a folder nor a zip file" in refusal(zipped)
