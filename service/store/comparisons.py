"""Values of a study's submissions compared with each other: counted as they are reviewed, never read as a whole."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

MOST_OF_A_BAND = 100  # texts that share a part of the signature and are looked at
MOST_ALIKE = 200  # texts that are compared with one


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a field. A ``hashed`` one is stored as its hash with the study's salt."""

    source: str
    field: str
    value: str
    hashed: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A text by its signature; near duplicates share one of ``bands``."""

    source: str
    field: str
    signature: bytes
    bands: tuple[int, ...]


# A source and its field.
Field = tuple[str, str]

# Only under the study's lock. What is counted in this statement does not see itself: `others` are those before it.
_COUNT = sa.text("""
    WITH salted AS (
        INSERT INTO study_salts AS s (study_id, salt) VALUES (:study, :salt)
        ON CONFLICT (study_id) DO UPDATE SET salt = s.salt RETURNING salt
    ), given AS (
        SELECT source, field, CASE WHEN hashed
               THEN encode(sha256(salt || convert_to(source || '.' || field || ':' || value, 'UTF8')), 'hex')
               ELSE value END AS key
        FROM jsonb_to_recordset(CAST(:values AS jsonb)) AS g (source text, field text, value text, hashed boolean)
        CROSS JOIN salted
    ), before AS (
        SELECT c.source, c.field, c.key FROM counted_values c JOIN given g USING (source, field)
        WHERE c.study_id = :study AND c.submission_id = :submission
    ), less AS (
        UPDATE value_counts v SET number = v.number - 1 FROM before b JOIN given g USING (source, field)
        WHERE v.study_id = :study AND v.source = b.source AND v.field = b.field AND v.key = b.key AND b.key <> g.key
    ), stored AS (
        INSERT INTO counted_values AS c (study_id, source, field, submission_id, key)
        SELECT :study, source, field, :submission, key FROM given
        ON CONFLICT (study_id, source, field, submission_id) DO UPDATE SET key = excluded.key
        WHERE c.key <> excluded.key
        RETURNING source, field, key
    ), more AS (
        INSERT INTO value_counts AS v (study_id, source, field, key, number)
        SELECT :study, source, field, key, 1 FROM stored
        ON CONFLICT (study_id, source, field, key) DO UPDATE SET number = v.number + 1
    )
    SELECT g.source, g.field, coalesce(v.number, 0) - CASE WHEN b.key = g.key THEN 1 ELSE 0 END AS others
    FROM given g LEFT JOIN before b USING (source, field) LEFT JOIN value_counts v
      ON v.study_id = :study AND v.source = g.source AND v.field = g.field AND v.key = g.key
""")

_READ = sa.text("""
    SELECT g.source, g.field, coalesce(v.number, 0) - CASE WHEN c.key = g.key THEN 1 ELSE 0 END AS others
    FROM (
        SELECT source, field, CASE WHEN hashed THEN encode(sha256(
                   (SELECT salt FROM study_salts WHERE study_id = :study)
                   || convert_to(source || '.' || field || ':' || value, 'UTF8')), 'hex') ELSE value END AS key
        FROM jsonb_to_recordset(CAST(:values AS jsonb)) AS g (source text, field text, value text, hashed boolean)
    ) AS g
    LEFT JOIN counted_values c ON c.study_id = :study AND c.source = g.source AND c.field = g.field
         AND c.submission_id = :submission
    LEFT JOIN value_counts v ON v.study_id = :study AND v.source = g.source AND v.field = g.field AND v.key = g.key
""")

# The classes of page times, at most a few hundred of each page, with the class of the submission that is left out.
_CLASSES = sa.text("""
    SELECT v.source, v.field, array_agg(CAST(v.key AS integer)) AS keys, array_agg(v.number) AS numbers,
           (SELECT CAST(c.key AS integer) FROM counted_values c
            WHERE c.study_id = :study AND c.source = v.source AND c.field = v.field
              AND c.submission_id = :submission) AS own
    FROM jsonb_to_recordset(CAST(:fields AS jsonb)) AS g (source text, field text) JOIN value_counts v
      ON v.study_id = :study AND v.source = g.source AND v.field = g.field AND v.number > 0
    GROUP BY v.source, v.field
""")

_KEEP_TEXT = sa.text("""
    WITH old AS (
        DELETE FROM text_bands t USING text_signatures s
        WHERE s.study_id = :study AND s.source = :source AND s.field = :field AND s.submission_id = :submission
          AND t.study_id = :study AND t.source = :source AND t.field = :field AND t.submission_id = :submission
          AND t.band = ANY(s.bands) AND t.band <> ALL(:bands)
    ), stored AS (
        INSERT INTO text_signatures (study_id, source, field, submission_id, signature, bands)
        VALUES (:study, :source, :field, :submission, :signature, :bands)
        ON CONFLICT (study_id, source, field, submission_id)
        DO UPDATE SET signature = excluded.signature, bands = excluded.bands
    )
    INSERT INTO text_bands (study_id, source, field, band, submission_id)
    SELECT :study, :source, :field, band, :submission FROM unnest(CAST(:bands AS bigint[])) AS parts (band)
    ON CONFLICT DO NOTHING
""").bindparams(sa.bindparam("bands", type_=ARRAY(sa.BigInteger)))

# In the order of the index, so that it is read even where most texts are the same.
_ALIKE = sa.text("""
    SELECT s.signature FROM (
        SELECT DISTINCT t.submission_id
        FROM unnest(CAST(:bands AS bigint[])) AS parts (band) CROSS JOIN LATERAL (
            SELECT submission_id FROM text_bands t
            WHERE t.study_id = :study AND t.source = :source AND t.field = :field AND t.band = parts.band
              AND t.submission_id <> :submission
            ORDER BY t.submission_id LIMIT :of_a_band) t
        LIMIT :most) AS found
    JOIN text_signatures s ON s.study_id = :study AND s.source = :source AND s.field = :field
     AND s.submission_id = found.submission_id
""").bindparams(sa.bindparam("bands", type_=ARRAY(sa.BigInteger)))


async def count_values(
    connection: AsyncConnection, study: str, submission: str, values: Sequence[Value], *, keep: bool
) -> dict[Field, int]:
    """Return how many other submissions have the same value, and ``keep`` this one's for those to come."""
    given: dict[str, Any] = {
        "study": study,
        "submission": submission,
        "values": json.dumps([asdict(value) for value in values]),
    }
    if keep:
        # Of no effect where the study has a salt already.
        given["salt"] = secrets.token_bytes(16)
    rows = await connection.execute(_COUNT if keep else _READ, given)
    return {(row.source, row.field): max(0, row.others) for row in rows}


async def classes_of_others(
    connection: AsyncConnection, study: str, submission: str, fields: Sequence[Field]
) -> dict[Field, Mapping[int, int]]:
    """Return how many other submissions are in each class of a field's values."""
    asked = json.dumps([{"source": source, "field": field} for source, field in fields])
    rows = await connection.execute(_CLASSES, {"study": study, "submission": submission, "fields": asked})
    found: dict[Field, Mapping[int, int]] = {}
    for row in rows:
        counts = dict(zip(row.keys, row.numbers, strict=True))
        if row.own is not None:
            counts[row.own] -= 1
        found[row.source, row.field] = counts
    return found


async def signatures_alike(
    connection: AsyncConnection, study: str, submission: str, text: Text, *, keep: bool
) -> list[bytes]:
    """Return the signatures of other submissions' texts that may be alike, and ``keep`` this one's."""
    place = {"study": study, "submission": submission, "source": text.source, "field": text.field}
    bands = list(text.bands)
    limits = {"of_a_band": MOST_OF_A_BAND, "most": MOST_ALIKE}
    found = await connection.scalars(_ALIKE, {**place, **limits, "bands": bands})
    signatures = list(found)
    if keep:
        await connection.execute(_KEEP_TEXT, {**place, "signature": text.signature, "bands": bands})
    return signatures
