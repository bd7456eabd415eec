"""The tree of errors. Each has a stable ``code`` that logs, the API and docs/reference.md use.

AutoreviewError
├── ConfigurationError         configuration: a setting is missing or wrong (exit 2)
├── RulesError                 rules: a rule file has errors (exit 2)
├── DatabaseError              database: no database, or not of this version (exit 2)
│   ├── DataDirInUse           data_dir_in_use
│   └── SchemaMismatch         schema_mismatch
└── ProlificError              prolific: see service.prolific.errors for the branches
"""


class AutoreviewError(Exception):
    """An error of autoreview."""

    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class ConfigurationError(AutoreviewError):
    """A setting is missing or wrong."""

    code = "configuration"


class RulesError(AutoreviewError):
    """A rule file has errors."""

    code = "rules"


class DatabaseError(AutoreviewError):
    """The database is missing or can't be used."""

    code = "database"


class DataDirInUse(DatabaseError):
    """Another autoreview uses this data folder."""

    code = "data_dir_in_use"


class SchemaMismatch(DatabaseError):
    """The database has the schema of another version."""

    code = "schema_mismatch"


class ProlificError(AutoreviewError):
    """Prolific refused a request, or could not be reached."""

    code = "prolific"
