"""The rule book: all rule files of a folder, and which file applies to a study."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.rules.file_reading import read_file
from service.rules.files import LARGEST, LOOKALIKE, NotAllowed, is_lookalike, read_rules
from service.rules.format.findings import START, Code, Finding, Findings, InvalidRules, Mark, Severity
from service.rules.format.reading import Claims
from service.rules.rulefile import RuleFile


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The rule files of a folder. ``warnings`` do not stop decisions. ``allowed`` are findings that rules accept."""

    files: tuple[RuleFile, ...]
    warnings: tuple[Finding, ...] = ()
    allowed: tuple[Finding, ...] = ()

    def file_for(self, study_id: str, parent_id: str | None = None) -> RuleFile | None:
        """Return the file that names the study, else the one that names its parent, else the one for all studies.

        ``parent_id`` is the study of which a quota or representative-sample study is a part. None: no file claims it.
        """
        everything = next((file for file in self.files if file.studies is None), None)
        return self._naming(study_id) or self._naming(parent_id) or everything

    def _naming(self, study_id: str | None) -> RuleFile | None:
        return next((file for file in self.files if study_id in (file.studies or ())), None)

    def files_declaring(self, source: str) -> tuple[RuleFile, ...]:
        return tuple(file for file in self.files if source in file.evidence)

    def files_receiving(self, source: str) -> tuple[RuleFile, ...]:
        """Return the files that declare a source of this name to which evidence is sent (``from: push``)."""
        return tuple(file for file in self.files_declaring(source) if file.evidence[source].origin == "push")


@dataclass(frozen=True, slots=True)
class Read:
    """Read one file as far as possible."""

    file: str
    loaded: RuleFile | None
    claims: Claims
    findings: Findings


def load(path: Path) -> RuleBook:
    """Load the rules of a folder (each ``*.yaml``) or of one file. Raise InvalidRules with all errors."""
    reads, findings = _read_all(path)
    if _of("error", findings):
        raise InvalidRules(findings)
    loaded = tuple(read.loaded for read in reads if read.loaded)
    return RuleBook(loaded, _of("warning", findings), _of("allowed", findings))


def _of(severity: Severity, findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity == severity)


@dataclass(frozen=True, slots=True)
class Checked:
    """The findings in a folder or file, and how many files and rules were read."""

    findings: list[Finding]
    files: int
    rules: int


def check(path: Path) -> list[Finding]:
    """Return the findings that ``load`` would raise, and the warnings, in the order of files and lines."""
    return check_counted(path).findings


def check_counted(path: Path) -> Checked:
    reads, findings = _read_all(path)
    rules = sum(subject.startswith("rules[") for read in reads for subject in read.findings.subjects)
    return Checked(findings, len(reads), rules)


def _read_all(path: Path) -> tuple[list[Read], list[Finding]]:
    folder = Findings(str(path))
    inside = path if path.is_dir() else None
    reads = [_read(file, inside) for file in _files(path, folder)]
    _refuse_shared_claims(reads)
    findings = [*folder.found, *(finding for read in reads for finding in read.findings.found)]
    return reads, sorted(findings)


def _files(path: Path, findings: Findings) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    try:
        names = sorted(entry.name for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        findings.add(Code.UNREADABLE, START, "", f"can't be read: {error.strerror}")
        return
    for name in filter(is_lookalike, names):
        message = f"{name} is not read: rename it to {LOOKALIKE.sub('', name)}.yaml"
        findings.add(Code.NOT_READ, START, "", message, severity="warning")
    rules = [path / name for name in names if name.endswith(".yaml")]
    if not rules:
        findings.add(Code.EMPTY, START, "", "the folder holds no rule file (*.yaml)")
    yield from rules


def _read(path: Path, folder: Path | None) -> Read:
    findings = Findings(str(path))
    content = _content(path, folder, findings)
    loaded, claims = (None, Claims()) if content is None else read_file(path.name, content, findings)
    return Read(str(path), loaded, claims, findings)


def _content(path: Path, folder: Path | None, findings: Findings) -> bytes | None:
    try:
        content = read_rules(path, folder)
        if len(content) <= LARGEST:
            return content
        problem = "is larger than 1 MiB"
    except NotAllowed as error:
        problem = str(error)
    except OSError as error:
        problem = (
            f"can't be read: {error.strerror}; name the rules' folder or file, or set AUTOREVIEW_RULES_DIR"
        )
    findings.add(Code.UNREADABLE, START, "", problem)
    return None


def _refuse_shared_claims(reads: list[Read]) -> None:
    """Check that each study has one file, and that at most one file has ``studies: all``."""
    first: dict[str, str] = {}
    everything: str | None = None
    for read in reads:
        for study, at in read.claims.ids.items():
            if study in first:
                _claimed_twice(read, at, f"study {study} is named by both {first[study]} and {read.file}")
            first.setdefault(study, read.file)
        if read.claims.everything and everything:
            message = f"both {everything} and {read.file} say `studies: all`: one file at most"
            _claimed_twice(read, read.claims.everything, message)
        if read.claims.everything:
            everything = everything or read.file


def _claimed_twice(read: Read, at: Mark, message: str) -> None:
    read.findings.add(Code.STUDY_CLAIMED_TWICE, at, "studies", message)
