"""What kind of file system a folder is on. SQLite's locks and WAL do not hold over a network."""

from pathlib import Path

from engine.errors import NetworkFolder

NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.davfs2", "fuse.glusterfs",
    "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs3", "nfs4",
    "ocfs2", "smb2", "smb3", "smbfs",
})  # fmt: skip


def kind_of(folder: Path) -> str:
    """The type of the file system that holds a folder, or would hold it; empty if nobody says."""
    import psutil  # 15 ms, for who opens a home to write

    path = folder.absolute()
    while not path.exists():
        path = path.parent
    path = path.resolve()
    found = ""
    deepest = -1
    for mount in psutil.disk_partitions(all=True):
        point = Path(mount.mountpoint)
        if path.is_relative_to(point) and len(point.parts) >= deepest:  # the last mount of a point covers it
            found, deepest = mount.fstype, len(point.parts)
    return found


def require_local(folder: Path) -> None:
    """NetworkFolder if the database would lie on a network file system."""
    kind = kind_of(folder)
    if kind.lower() in NETWORK:
        raise NetworkFolder(
            f"{folder} is on a network file system ({kind}); the database would not survive there.",
            "Choose a folder on a local disk with --home; backup.target may be on the network.",
        )
