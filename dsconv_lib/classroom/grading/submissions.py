"""Who handed in what: a folder or a zip file, as Canvas or Moodle export it or as files by name.

Nothing is unpacked, and no name in a zip file is ever used as a path.
"""

from __future__ import annotations

import hashlib
import itertools
import lzma
import os
import re
import stat
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from dsconv_lib.classroom.grading import GradingError
from dsconv_lib.classroom.grading.notebook import MAX_BYTES

CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<number>\d+)_.+")
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?")
MAX_FILES = 100_000
SKIPPED = ("__MACOSX", "__pycache__")
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError)


@dataclass(frozen=True, slots=True)
class Submission:
    """One student's notebook. `student` is unique in the class; `id` is Canvas' or Moodle's."""

    student: str
    id: str
    system: str
    file: str
    sha256: str = ""
    late: bool = False
    notes: list[str] = field(default_factory=list)


# A file, before it is read, and what tells the latest of a student: the greatest.
Found = tuple[tuple[object, str], Submission]


class Class:
    """The submissions in a folder or zip file, one for each student, in order of name.

    Of several notebooks by one student the latest counts: by Canvas' number where there is one, else by time of
    change. `others` are files that are no notebooks, which somebody should look at.

    Raises:
        GradingError: if it is neither a folder nor a zip file, or holds no notebooks.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.others: list[str] = []
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._paths: dict[str, Path] = {}
        if place.is_dir():
            files = self._in_folder()
        elif zipfile.is_zipfile(place):
            try:
                self._zip = zipfile.ZipFile(place)
            except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, OSError) as error:
                raise GradingError(f"{place} cannot be read: {error}; download it again") from None
            files = self._in_zip(self._zip)
        else:
            raise GradingError(f"{place} is neither a folder nor a zip file of notebooks")
        students: dict[str, list[Found]] = defaultdict(list)
        for each in files:
            students[each[1].student].append(each)
        if not students:
            raise GradingError(f"{place} has no notebooks: expected files that end in .ipynb")
        self.submissions = [self._latest(students[name]) for name in sorted(students)]

    def read(self, file: str) -> bytes:
        """Read a file of the class, but no more of it than shows that it is too large.

        Raises:
            GradingError: if it cannot be opened.
        """
        if self._zip is not None:
            try:
                with self._zip.open(self._members[file]) as stream:
                    return stream.read(MAX_BYTES + 1)
            except UNREADABLE:
                return b""  # damaged or encrypted: marked as what it is, no notebook
        # Neither a link nor a pipe is followed, whatever it was when the folder was listed.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            with os.fdopen(os.open(self._paths[file], flags), "rb") as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    return b""
                return stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise GradingError(f"{file} cannot be read: {error.strerror}") from None

    def _latest(self, found: list[Found]) -> Submission:
        _, latest = max(found, key=lambda each: each[0])
        sha256 = hashlib.sha256(self.read(latest.file)).hexdigest()
        note = f"{len(found)} notebooks were handed in: the latest, {latest.file}, was marked"
        return replace(latest, sha256=sha256, notes=[note] if len(found) > 1 else [])

    def _in_folder(self) -> list[Found]:
        found: dict[str, object] = {}
        for folder, names, files in os.walk(self.place):
            names[:] = sorted(itertools.filterfalse(_skipped, names))
            for name in sorted(itertools.filterfalse(_skipped, files)):
                path = Path(folder, name)
                # A name of bytes that are not UTF-8 can be printed, and stored, only like this.
                named = os.fsencode(path.relative_to(self.place))
                relative = named.decode(errors="backslashreplace")
                status = path.lstat()
                if path.suffix.lower() == ".ipynb" and stat.S_ISREG(status.st_mode):
                    self._paths[relative], found[relative] = path, status.st_mtime_ns
                else:
                    self.others.append(relative)
        return _who(found)

    def _in_zip(self, archive: zipfile.ZipFile) -> list[Found]:
        members = archive.infolist()
        if len(members) > MAX_FILES:
            raise GradingError(f"{self.place} has more than {MAX_FILES:,} files: split it")
        for member in sorted(members, key=lambda each: each.filename):
            parts = PurePosixPath(member.filename).parts
            if member.is_dir() or any(_skipped(part) for part in parts if part != ".."):
                continue
            linked = stat.S_ISLNK(member.external_attr >> 16)
            if member.filename.lower().endswith(".ipynb") and not linked:
                self._members[member.filename] = member
            else:
                self.others.append(member.filename)
        return _who({name: member.date_time for name, member in self._members.items()})


def _common_folders(names: Iterable[str]) -> int:
    """How many folders all notebooks lie in: those of the class, not of a student."""
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    if len(folders) < 2:
        return 0
    both = zip(min(folders), max(folders), strict=False)
    common = itertools.takewhile(lambda pair: pair[0] == pair[1], both)
    return len([part for part, _ in common if not MOODLE.fullmatch(part)])


def _skipped(name: str) -> bool:
    return name.startswith(".") or name in SKIPPED


def _who(files: Mapping[str, object]) -> list[Found]:
    """Read the students off the names of files, or of their folders; the values are times."""
    outer = _common_folders(files)
    inner = {file: PurePosixPath(*PurePosixPath(file).parts[outer:]) for file in files}
    # Canvas numbers every file, so two of one number are not Canvas': lab_2_1_ada, lab_2_1_bob.
    flat = [CANVAS.fullmatch(path.stem) for path in inner.values() if len(path.parts) == 1]
    numbers = [match["number"] for match in flat if match]
    canvas = len(set(numbers)) == len(numbers)
    return [_identify(file, inner[file], files[file], canvas) for file in files]


def _identify(file: str, path: PurePosixPath, changed: object, canvas: bool) -> Found:
    """Read the student off a file's name, or its folder's."""
    parts = [part for part in path.parts if part not in ("/", "..")]
    for moodle in filter(None, map(MOODLE.fullmatch, parts[:-1])):
        return (changed, file), Submission(_unique(moodle), moodle["id"], "moodle", file)
    stem = parts[-1][: -len(".ipynb")]
    if canvas and len(parts) == 1 and (match := CANVAS.fullmatch(stem)):
        who = Submission(_unique(match), match["id"], "canvas", file, late=bool(match["late"]))
        return (int(match["number"]), file), who
    return (changed, file), Submission(parts[0] if len(parts) > 1 else stem, "", "", file)


def _unique(match: re.Match[str]) -> str:
    """Two people of one name differ by their number."""
    return f"{match['name']} ({match['id']})"
