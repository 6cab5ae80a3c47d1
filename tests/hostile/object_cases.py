"""What is no plain file, and plain files under odd names."""

import os
import socket
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.hostile.cases import Case, refused, taken, text_of
from tests.runtime.deck import to_csv

NOT_REGULAR = refused("FILE_NOT_REGULAR")
BAD_CONTENT = b"no header\n"
NAME_BYTES_MAX = 255
NAMES = {
    "newline": "\nname\n.csv", "escape": "\x1b[2J\x1b[31mname.csv",
    "osc-52": "name\x1b]52;c;ZXZpbA==\x07.csv",
    "osc-title": "name\x1b]0;title\x07.csv", "c1": "name\x9b31m.csv", "carriage-return": "name\rgone.csv",
    "backspace": "name\x08\x08\x08\x08.csv", "bidi": "name\u202evsc.csv", "isolate": "\u2066name.csv",
    "zero-width": "na\u200bme.csv", "tag-letters": "name\U000e0041.csv", "not-utf-8": "name\udcff\udcfe.csv",
    "latin-1": "na\udcefve.csv", "half-a-letter": "name\udce2\udc82.csv",
    "escape-and-not-utf-8": "\x1b[2J\udc9b.csv",
    "markup": "[red]name.csv", "markup-closing": "[|nope].csv", "markup-open": "name[bold.csv",
    "percent": "%s%n%d.csv", "braces": "{0.__class__}.csv", "shell": "$(reboot).csv",
    "back-ticks": "`reboot`.csv",
    "semicolon": "name; reboot.csv", "sql": "'; DROP TABLE files;--.csv", "quotes": "\"'name'\".csv",
    "formula": "=cmd.csv", "option": "--help.csv", "minus": "-.csv", "blanks": " na me .csv",
    "tab": "na\tme.csv",
    "backslashes": "name\\..\\..\\.csv", "twice": "name.csv.csv", "upper-case": "NAME.CSV",
    "emoji": "👩\u200d🚀.csv",
    "wide": "漢" * 80 + ".csv", "255-bytes": "n" * (NAME_BYTES_MAX - 4) + ".csv",
    "255-bytes-of-wide": "漢" * 83 + "nn.csv", "drive": "C:name.csv", "reserved": "CON.csv", "star": "*.csv",
}  # fmt: skip
WAIT = {
    "other": "name.txt", "gzip": "name.csv.gz", "download": "name.csv.part", "backup": "name.csv~",
    "blank-at-the-end": "name.csv ", "newline-at-the-end": "name.csv\n",
    "escape-no-suffix": "\x1b]0;x\x07name",
    "bidi-suffix": "name.\u202evsc", "not-utf-8-suffix": "name.cs\udcff", "look-alike-suffix": "name.сsv",
}  # fmt: skip
UNSEEN = {"suffix-only": ".csv", "hidden": ".name.csv", "dots": "..csv"}


def _to_file(path: Path) -> None:
    target = path.with_name(f".{path.name}.target")
    target.write_bytes(text_of("object-link"))
    path.symlink_to(target)


def _hard_link(path: Path) -> None:
    other = path.with_name(f".{path.name}.other")
    other.write_bytes(text_of("object-hard-link"))
    os.link(other, path)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inner.csv").write_bytes(text_of("object-folder"))


def _socket(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with closing(socket.socket(socket.AF_UNIX)) as server:
            server.bind(f"/proc/self/fd/{folder}/{path.name}")  # a socket's path is short
    finally:
        os.close(folder)


def make_device(path: Path) -> None:
    """A device like /dev/zero, whose bytes never end. PermissionError if this user may not."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


OBJECTS: dict[str, Callable[[Path], None]] = {
    "link": _to_file,
    "link-to-nowhere": lambda path: path.symlink_to("nowhere.csv"),
    "link-to-itself": lambda path: path.symlink_to(path.name),
    "link-to-its-folder": lambda path: path.symlink_to("."),
    "link-to-a-device": lambda path: path.symlink_to("/dev/zero"),
    "folder": _folder,
    "folder-empty": lambda path: path.mkdir(),
    "fifo": os.mkfifo,
    "socket": _socket,
}


def objects(devices: bool) -> list[Case]:
    """Everything that is not a regular file under a name that the inbox takes."""
    kinds = OBJECTS | ({"device": make_device} if devices else {})
    return [
        *(Case(f"object-{kind}", make, NOT_REGULAR) for kind, make in kinds.items()),
        Case("object-fifo-as-parquet", os.mkfifo, NOT_REGULAR, file="object-fifo.parquet"),
        Case("object-hard-link", _hard_link, taken()),
    ]


def names() -> list[Case]:
    """Good and bad files under odd names; and names that the inbox does not take."""
    bad = refused("FILE_HEADER")
    made = [Case(f"name-{kind}", text_of(f"name-{kind}"), taken(), name) for kind, name in NAMES.items()]
    made += [Case(f"name-{kind}-bad", BAD_CONTENT + kind.encode(), bad, f"!{name}")
             for kind, name in NAMES.items() if not name.isprintable() or not name[0].isalnum()]  # fmt: skip
    return [*made, *_left("waits", WAIT, b"\n"), *_left("unseen", UNSEEN, b"\t\n")]


def _left(inbox: str, odd: dict[str, str], blank: bytes) -> list[Case]:
    """Files without rows, for both ways in must hold the same; told apart by blank lines."""
    return [Case(f"name-{kind}", to_csv([]) + blank * number, taken(0), name, inbox)
            for number, (kind, name) in enumerate(odd.items(), 1)]  # fmt: skip
