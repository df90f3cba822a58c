"""The parts of a run on their way into an export: staged under their part's name, published under their final one.

``_staging/<namespace>/<part>.<piece>.<records>.<files>.<sha256>.<ending>`` says everything about a file without a journal beside it, on a disk as
in a bucket. Publication is written down first and then carried out, so a kill in its middle is completed by the next ``finish``.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from migrator.datasets import manifest as manifests
from migrator.datasets.locks import is_lock
from migrator.datasets.manifest import Entry, Manifest
from migrator.datasets.naming import STAGING_FOLDER, folder_of, namespace_of
from migrator.errors import PermanentError
from migrator.failpoints import failpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from migrator.datasets.manifest import Run
    from migrator.datasets.places import Place

MOVES_AT_ONCE = 8
"""In a bucket a move is two requests; on a disk it is nothing."""
_COUNTS = r"(?P<piece>\d+)\.(?P<records>\d+)\.(?P<files>\d+)\.(?P<sha256>[0-9a-f]{64})"
_STAGED = re.compile(re.escape(STAGING_FOLDER) + rf"/(?P<folder>[^/]+)/(?P<part>[^/]+)\.{_COUNTS}\.(?P<ending>[^/]+)")
_NUMBER = re.compile(r"-(\d{6,})[./]")
"""In a published name: of the files of a namespace, or of its parts where each is a folder of files."""


@dataclass(frozen=True)
class StagedFile:
    """One piece of one part, or one column of it where each has a file of its own."""

    part: str
    namespace: str
    piece: int
    """Tells the pieces of one part and namespace apart."""
    records: int
    files: int
    """How many files hold these records together; without all of them they are not there."""
    ending: str
    """``parquet``, or a column's ``vector.npy``."""
    sha256: str
    bytes: int
    written: int = field(default=0, compare=False)
    """Nanoseconds; of two versions of a part the newer one counts."""

    @property
    def path(self) -> str:
        part = quote(self.part, safe="-_.~@=+,")  # it may come from a file's name: quoted, it is a safe name itself
        return f"{STAGING_FOLDER}/{folder_of(self.namespace)}/{part}.{self.piece}.{self.records}.{self.files}.{self.sha256}.{self.ending}"


def by_piece(files: Iterable[StagedFile]) -> Iterator[list[StagedFile]]:
    """Yield the files of one part piece by piece."""
    piece = operator.attrgetter("namespace", "piece")
    for _, found in itertools.groupby(sorted(files, key=piece), piece):
        yield list(found)


def staged_files(place: Place) -> list[StagedFile]:
    """Return what is staged, leaving out temporary files."""
    found = []
    for info in place.listing(STAGING_FOLDER):
        match = _STAGED.fullmatch(place.relative(info))
        if match:
            part, namespace = unquote(match["part"]), namespace_of(match["folder"])
            numbers = int(match["piece"]), int(match["records"]), int(match["files"])
            found.append(StagedFile(part, namespace, *numbers, match["ending"], match["sha256"], int(info.size), int(info.mtime_ns or 0)))
    return found


def newest(files: Iterable[StagedFile]) -> list[StagedFile]:
    """Return one version of each piece: a kill between writing a part again and removing the old one leaves two."""
    chosen: dict[tuple[str, str, int, str], StagedFile] = {}
    for file in sorted(files, key=lambda file: file.written):
        chosen[file.part, file.namespace, file.piece, file.ending] = file
    return list(chosen.values())


def records_of(staged: Iterable[StagedFile]) -> Counter[str]:
    """Return the records each part holds; none of those of a piece that lacks one of its files, or whose files are of two versions."""
    groups: dict[tuple[str, str, int], list[StagedFile]] = {}
    for file in staged:
        groups.setdefault((file.part, file.namespace, file.piece), []).append(file)
    held = Counter[str]()
    for (part, *_), files in groups.items():
        whole = len({(file.records, file.files) for file in files}) == 1 and len(files) == files[0].files
        held[part] += files[0].records if whole else 0
    return held


def publish(place: Place, run: Run, staged: Sequence[StagedFile], published: Sequence[Entry], dropped: Sequence[Entry]) -> None:
    """Give the staged files their final names, replacing published files of the same parts and removing ``dropped`` ones."""
    rewritten = {file.part for file in staged}
    gone = {entry.path for entry in dropped}
    kept = [entry for entry in published if entry.part not in rewritten and entry.path not in gone]
    new_names = _numbered(run, staged, published)
    entries = [Entry(new_names[file], file.namespace, file.part, file.records, file.bytes, file.sha256, file.piece) for file in staged]
    complete = Manifest(run, tuple(sorted([*kept, *entries], key=lambda entry: entry.path)))
    current = {entry.path for entry in complete.files}
    removals = sorted({*(entry.path for entry in published), *gone, *run.replaces} - current)
    moves = {file.path: new_names[file] for file in staged}
    manifests.save_publication(place, complete, moves, removals)
    failpoint("dataset.publication_written")
    carry_out(place, complete, moves, removals)


def _numbered(run: Run, staged: Sequence[StagedFile], published: Iterable[Entry]) -> dict[StagedFile, str]:
    """Name the files of each namespace in the order of the source, going on after the numbers already given.

    A part with a file for each column becomes a folder of them.
    """
    stems: dict[tuple[str, str, int], str] = {}
    last: dict[str, int] = {}
    for entry in published:
        number = list(_NUMBER.finditer(entry.path))[-1]
        stems[entry.part, entry.namespace, entry.piece] = entry.path[: number.end() - 1]
        folder = folder_of(entry.namespace)
        last[folder] = max(last.get(folder, 0), int(number[1]))
    names = {}
    for file in sorted(staged, key=lambda file: natural(file.part)):
        folder = folder_of(file.namespace)
        key = file.part, file.namespace, file.piece
        if key not in stems:
            last[folder] = last.get(folder, 0) + 1
            stems[key] = f"{folder}/{run.started}-{last[folder]:06}"
        column_files = "." in file.ending
        names[file] = f"{stems[key]}{'/' if column_files else '.'}{file.ending}"
    return names


def natural(part: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts ``s-2.10`` after ``s-2.9``."""
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in re.split(r"(\d+)", part)]


def carry_out(place: Place, complete: Manifest, moves: Mapping[str, str], removals: Iterable[str]) -> None:
    """Do what ``publish`` wrote down, as far as it is not done yet."""
    sizes = {entry.path: entry.bytes for entry in complete.files}
    with ThreadPoolExecutor(MOVES_AT_ONCE) as pool:
        list(pool.map(lambda path: _move(place, path, moves[path], sizes[moves[path]]), moves))
        list(pool.map(place.remove, removals))
    for folder in sorted({path.rpartition("/")[0] for path in [*moves.values(), *removals]}):
        place.sync(folder)
    place.save(manifests.MANIFEST, [complete.dump()])
    failpoint("dataset.manifest_written")
    clear(place)
    place.sync("")


def clear(place: Place) -> None:
    """Remove everything staged; not the locks of runs, which keep others out (or are others', about to give way)."""
    staged = [place.relative(info) for info in place.listing(STAGING_FOLDER)]
    if not any(map(is_lock, staged)):
        place.remove_folder(STAGING_FOLDER)
        return
    with ThreadPoolExecutor(MOVES_AT_ONCE) as pool:
        list(pool.map(place.remove, [path for path in staged if not is_lock(path)]))


def _move(place: Place, path: str, to: str, size: int) -> None:
    if place.size(path) is not None:
        place.move(path, to)
        failpoint("dataset.file_moved")
    elif place.size(to) != size:
        raise PermanentError(f"{place.show(path)} was removed before it was published", fix="run the migration again into an empty folder", code="staging_lost")
