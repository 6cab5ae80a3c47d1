"""A disk as it could be after a power cut: what was synced is there, of the rest any part may be.

Pure: a tree of files, an ordered log of what was done to it, a place in the log and a source of chance give
another tree. Files are known by a number, so that a rename or a removal does not lose what is written to
them. It is harsher than a journalling file system: names survive each by itself, in no order.
"""

import random
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath

SECTOR_BYTES = 512  # what a disk writes whole or not at all
# Paths are below the root: ("make", path, file) ("folder", path) ("rename", path, path) ("remove", path)
# ("write", file, offset, data) ("size", file, bytes) ("sync", file) ("sync_folder", path) and the marks
# ("commit", n) ("ack", n)
Op = tuple[object, ...]


@dataclass
class Tree:
    """Folders and files by path, and the number of each file."""

    folders: set[str]
    files: dict[str, bytes]
    numbers: dict[str, int]

    @classmethod
    def of(cls, root: Path) -> "Tree":
        paths = sorted(root.rglob("*"))
        files = [path for path in paths if path.is_file()]
        names = [str(path.relative_to(root)) for path in files]
        return cls(
            {".", *(str(path.relative_to(root)) for path in paths if path.is_dir())},
            {name: path.read_bytes() for name, path in zip(names, files, strict=True)},
            {name: number for number, name in enumerate(names, start=1)},
        )

    def write(self, root: Path) -> None:
        for folder in sorted(self.folders):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for name, data in self.files.items():
            (root / name).write_bytes(data)


@dataclass
class _Loose:
    """A change of names that is durable once these folders are synced."""

    op: Op
    folders: set[str]


@dataclass
class _Disk:
    folders: set[str]
    names: dict[str, int]
    data: dict[int, bytearray]
    loose: dict[int, list[Op]] = field(default_factory=dict)  # writes and sizes by file, not synced
    loose_names: list[_Loose] = field(default_factory=list)

    def do(self, op: Op) -> None:
        kind = op[0]
        if kind in ("write", "size"):
            self.loose.setdefault(int(str(op[1])), []).append(op)
        elif kind == "sync":
            number = int(str(op[1]))
            for done in self.loose.pop(number, []):
                self._apply(done)
        elif kind == "sync_folder":
            self._sync_folder(str(op[1]))
        elif kind not in ("commit", "ack"):
            self.loose_names.append(_Loose(op, {str(PurePosixPath(str(p)).parent) for p in _paths(op)}))

    def _sync_folder(self, folder: str) -> None:
        waiting, self.loose_names = self.loose_names, []
        for loose in waiting:
            loose.folders.discard(folder)
            if loose.folders:
                self.loose_names.append(loose)
            else:
                self._rename(loose.op)

    def cut(self, rng: random.Random) -> None:
        """Each thing that was not synced survives or not."""
        for number in sorted(self.loose):
            for op in self.loose[number]:
                for part in _torn(op, rng):
                    self._apply(part)
        for loose in self.loose_names:
            if rng.random() < 0.5:
                self._rename(loose.op)

    def _apply(self, op: Op) -> None:
        kind, number, at, *rest = op
        data = self.data.setdefault(number, bytearray())  # type: ignore[arg-type]
        assert isinstance(at, int)
        if kind == "size":
            del data[at:]
            data.extend(bytes(at - len(data)))
            return
        (written,) = rest
        assert isinstance(written, bytes)
        data.extend(bytes(max(0, at + len(written) - len(data))))
        data[at : at + len(written)] = written

    def _rename(self, op: Op) -> None:
        match op:
            case ("make", str(path), int(number)):
                self.names[path] = number
                self.data.setdefault(number, bytearray())
            case ("folder", str(path)):
                self.folders.add(path)
            case ("rename", str(path), str(target)):
                number = self._number(path, op)
                self.names.pop(path, None)
                self.names[target] = number
            case ("remove", str(path)):
                self.names.pop(path, None)
                self.folders.discard(path)
            case _:
                raise ValueError(op)

    def _number(self, path: str, op: Op) -> int:
        """The file that a rename moves, even where the making of its old name did not survive."""
        if path in self.names:
            return self.names[path]
        return next(
            int(str(loose.op[2])) for loose in self.loose_names if loose.op[:2] == ("make", path)
        )

    def tree(self) -> Tree:
        """What can be reached from the root."""
        whole = {"."}
        for folder in sorted(self.folders - {"."}, key=lambda name: name.count("/")):
            if str(PurePosixPath(folder).parent) in whole:
                whole.add(folder)
        names = {name: n for name, n in self.names.items() if str(PurePosixPath(name).parent) in whole}
        return Tree(whole, {name: bytes(self.data[n]) for name, n in names.items()}, names)


def after_cut(before: Tree, log: list[Op], cut: int, rng: random.Random) -> Tree:
    """The disk after the power went just before `log[cut]`; all of `before` was durable."""
    data = {number: bytearray(before.files[name]) for name, number in before.numbers.items()}
    disk = _Disk(set(before.folders), dict(before.numbers), data)
    for op in log[:cut]:
        disk.do(op)
    disk.cut(rng)
    return disk.tree()


def _paths(op: Op) -> list[object]:
    return list(op[1:3]) if op[0] == "rename" else [op[1]]


def _torn(op: Op, rng: random.Random) -> list[Op]:
    """What survives of a write or a change of size: nothing, all, or some of its sectors."""
    if rng.random() < 0.5:
        return []
    if op[0] == "size" or rng.random() < 0.5:
        return [op]
    _, number, at, data = op
    assert isinstance(at, int)
    assert isinstance(data, bytes)
    edges = [at, *range(at - at % SECTOR_BYTES + SECTOR_BYTES, at + len(data), SECTOR_BYTES), at + len(data)]
    sectors = [("write", number, a, data[a - at : b - at]) for a, b in pairwise(edges)]
    return [sector for sector in sectors if rng.random() < 0.5]
