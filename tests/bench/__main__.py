"""``make bench``: each figure against its bound. ``python -m tests.bench review`` runs one part."""

import sys
import tempfile
from pathlib import Path

from service.postgres.embedded import delete_database, embedded_postgres
from service.postgres.migrate import migrate
from tests.bench import backtest, intake, pages, review, rules
from tests.databases import create, named

PARTS = ("intake", "rules", "review", "backtest", "pages")


def main(parts: list[str]) -> None:
    unknown = set(parts) - set(PARTS)
    if unknown:
        sys.exit(f"No such part: {', '.join(sorted(unknown))}. Parts are {', '.join(PARTS)}.")
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    with embedded_postgres(folder / "data") as postgres:
        create(postgres, "migrated")
        migrate(named(postgres, "migrated"))
        for part in parts or PARTS:
            print(f"\n{part}")
            match part:
                case "intake":
                    intake.bench(folder / part, postgres)
                case "rules":
                    rules.bench(folder / part)
                case "review":
                    review.bench(folder / part, postgres, folder / "data" / "postgres.log")
                case "backtest":
                    backtest.bench(folder / part, postgres)
                case "pages":
                    pages.bench(folder / part, postgres)
    delete_database(folder / "data")


if __name__ == "__main__":
    main(sys.argv[1:])
