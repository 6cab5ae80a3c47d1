"""What a backup says to somebody without navdeck: the list of its files and the commands that rebuild it."""

from collections.abc import Iterable

from engine.backup.layout import File, Manifest
from engine.domain.instants import format_instant

_GUIDE = """\
# Backup {id}: what was committed by {reached}.
#
# To rebuild the home without navdeck, in this folder:
#
#     sh RESTORE.txt /path/to/a/new/folder
#
# It needs sh, cp, mkdir and sha256sum; with sqlite3 it also checks the database. What it does:
set -eu
umask 077
to=${{1:?name a new folder}}
cd "$(dirname "$0")"

# 1. Every byte of this backup against its sum.
sha256sum --quiet --strict -c SHA256SUMS

# 2. Each object under its name in the home. FILES.sha256 has a line for each: SHA-256, two spaces, path.
mkdir "$to"
to=$(cd "$to" && pwd)
while read -r sum path; do
    rest=${{sum#??}}
    folder=$to/$path
    [ -d "${{folder%/*}}" ] || mkdir -p "${{folder%/*}}"
    cp "../objects/${{sum%"$rest"}}/$sum" "$to/$path"
done < FILES.sha256
for folder in inbox archive rejected journal lake backups run logs; do
    mkdir -p "$to/$folder"
done

# 3. Every byte of the new home, and its database.
cp FILES.sha256 "$to/run/"
(cd "$to" && sha256sum --quiet --strict -c run/FILES.sha256)
rm "$to/run/FILES.sha256"
chmod -R go-rwx,u+rwX "$to"
if command -v sqlite3 > /dev/null; then
    test "$(sqlite3 "$to/state.db" 'PRAGMA integrity_check')" = ok
fi
echo "rebuilt in $to; navdeck digest --home $to must give:"
echo "{digest}"
"""


def files_text(files: Iterable[File]) -> bytes:
    """FILES.sha256: also what `sha256sum -c` reads in the rebuilt home."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in files).encode()


def guide_text(manifest: Manifest) -> bytes:
    """RESTORE.txt."""
    reached, digest = format_instant(manifest.reached), manifest.digest["digest"]
    return _GUIDE.format(id=manifest.id, reached=reached, digest=digest).encode()


def sums_text(parts: Iterable[tuple[str, str]], files: Iterable[File]) -> bytes:
    """SHA256SUMS of a backup: its own parts, and every object that it needs, once."""
    objects = sorted({file.sha256 for file in files})
    lines = [f"{sha256}  {name}\n" for name, sha256 in parts]
    return "".join([*lines, *(f"{one}  ../objects/{one[:2]}/{one}\n" for one in objects)]).encode()
