"""The rights that the service needs on each table, so that a missing one is found at the start."""

from collections.abc import Mapping, Sequence

from service.store.tables import (
    also_actions,
    counted_values,
    decision_states,
    evidence,
    fetches,
    inbox,
    metadata,
    notices,
    planned_decisions,
    reviews,
    schema_heads,
    selections,
    sign_outs,
    studies,
    study_salts,
    study_times,
    submissions,
    tallies,
    text_bands,
    text_signatures,
    turns,
    value_counts,
    worker_settings,
)

_CHANGED = {
    table.name
    for table in (
        inbox,
        evidence,
        submissions,
        studies,
        reviews,
        turns,
        notices,
        decision_states,
        planned_decisions,
        fetches,
        also_actions,
        study_salts,
        counted_values,
        value_counts,
        text_signatures,
    )
}
_DELETED = {
    table.name for table in (inbox, tallies, worker_settings, selections, sign_outs, study_times, text_bands)
}  # old rows
_JOBS = (
    "procrastinate_jobs",
    "procrastinate_events",
    "procrastinate_workers",
    "procrastinate_periodic_defers",
)


def needed_rights() -> Mapping[str, Sequence[str]]:
    """Return the rights by table. The migrations need more: ``CREATE`` on the schema."""
    ours = {
        name: ("SELECT", "INSERT", *["UPDATE"] * (name in _CHANGED), *["DELETE"] * (name in _DELETED))
        for name in metadata.tables
        if name != schema_heads.name
    }
    jobs = dict.fromkeys(_JOBS, ("SELECT", "INSERT", "UPDATE", "DELETE"))
    return {"alembic_version": ("SELECT",), schema_heads.name: ("SELECT",), **ours, **jobs}
