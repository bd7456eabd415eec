"""The tables, as the migrations create them. A test compares the two."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = sa.MetaData()

_moment = sa.DateTime(timezone=True)
_now = sa.text("now()")
ENDED_STATUS = "upper(status) IN ('APPROVED', 'REJECTED', 'RETURNED')"  # PostgreSQL uses the index only for this exact text
COMPLETED = "coalesce(data ->> 'completed_at', '')"  # likewise; ISO 8601 in UTC, so texts sort as times do
_unhandled = sa.text("handled_at IS NULL")
_awaiting = sa.text("status = 'AWAITING REVIEW'")
_open = sa.text("ended_at IS NULL")


def _identity() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True)


inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("received_at", _moment, nullable=False, server_default=_now),
    sa.Column("sent_at", sa.Text),  # X-Timestamp as received: its unit is not documented
    sa.Column("event_type", sa.Text),
    sa.Column("submission_id", sa.Text),
    sa.Column("participant_id", sa.Text),
    sa.Column("status", sa.Text),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("readable", sa.Boolean, nullable=False),
    sa.Column("handled_at", _moment),
    sa.Column("signature", sa.LargeBinary),  # null for events that an earlier version stored
    sa.Index("inbox_signature", "signature", unique=True),
    sa.Index("inbox_received_at", "received_at"),
    sa.Index("inbox_submission_id", "submission_id", "received_at"),
    sa.Index("inbox_participant_id", "participant_id", postgresql_where=sa.text(ENDED_STATUS)),
    sa.Index("inbox_unhandled", "submission_id", postgresql_where=_unhandled),
    sa.Index("inbox_handled_at", "handled_at", postgresql_where=sa.text("handled_at IS NOT NULL")),
)

evidence = sa.Table(
    "evidence",
    metadata,
    _identity(),
    sa.Column("received_at", _moment, nullable=False, server_default=_now),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("submission_id", sa.Text, nullable=False),
    sa.Column("payload", JSONB, nullable=False),
    sa.Column("handled_at", _moment),
    sa.Column("participant_id", sa.Text),  # the participant that the payload names, if any
    sa.Column("origin", sa.Text, nullable=False, server_default="push"),  # an EvidenceOrigin
    # Where rule files read one body differently and the submission's study is not known yet: file -> values.
    sa.Column("readings", JSONB(none_as_null=True)),
    sa.Column("remarks", JSONB(none_as_null=True)),  # why fields are missing: field -> sentence
    sa.Index("evidence_submission_id", "submission_id", "source", "id"),
    sa.Index("evidence_unhandled", "submission_id", postgresql_where=_unhandled),
)

# A source that is asked about a submission: ``until`` when, ``due_at`` next (null: no more), and what its last
# attempt that ended came to: found, not_yet or failed. ``declaration`` is a hash of the source as the rule file has it.
fetches = sa.Table(
    "fetches",
    metadata,
    sa.Column("submission_id", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("declaration", sa.Text, nullable=False),
    sa.Column("until", _moment, nullable=False),
    sa.Column("due_at", _moment),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),  # in a row
    sa.Column("result", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("ended_at", _moment),
    sa.Column("failed_since", _moment),  # of the failures in a row
    sa.Index("fetches_due", "source", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
    sa.Index("fetches_failed", "ended_at", postgresql_where=sa.text("result = 'failed'")),
)

# Signed study links that were verified, by SHA-256.
study_links = sa.Table(
    "study_links",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("submission_id", sa.Text, nullable=False),
    sa.Column("verified_at", _moment, nullable=False, server_default=_now),
)

# Deliveries that were refused. ``number`` also counts those since the one before that were not written one by one.
evidence_refusals = sa.Table(
    "evidence_refusals",
    metadata,
    _identity(),
    sa.Column("at", _moment, nullable=False, server_default=_now),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("submission_id", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Index("evidence_refusals_at", "at"),
)

submissions = sa.Table(
    "submissions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("study_id", sa.Text),
    sa.Column("participant_id", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("ever_final", sa.Boolean, nullable=False),
    sa.Column("claimed", sa.Boolean, nullable=False),
    sa.Column("first_seen_at", _moment, nullable=False, server_default=_now),
    sa.Column("seen_at", _moment, nullable=False, server_default=_now),
    sa.Column("data", JSONB, nullable=False),
    sa.Index("submissions_study_id", "study_id", "status"),
    sa.Index("submissions_participant_id", "participant_id"),
    sa.Index("submissions_first_seen_at", "study_id", "first_seen_at"),
    sa.Index("submissions_awaiting", "study_id", postgresql_where=_awaiting),  # a later release drops it
    sa.Index("submissions_awaiting_study", "study_id", sa.text(COMPLETED), "id", postgresql_where=_awaiting),
    sa.Index("submissions_awaiting_completed", sa.text(COMPLETED), "id", postgresql_where=_awaiting),
)

# How many submissions of a study took so many seconds: sums, and changes since that a periodic run sums up. A trigger
# on ``submissions`` keeps them.
study_times = sa.Table(
    "study_times",
    metadata,
    sa.Column("study_id", sa.Text, nullable=False),
    sa.Column("seconds", sa.Integer, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("is_sum", sa.Boolean, nullable=False, server_default="false"),
    sa.Index("study_times_study_id", "study_id", "seconds"),
    sa.Index("study_times_changes", "study_id", postgresql_where=sa.text("NOT is_sum")),
)

# What fingerprints of a study are hashed with.
study_salts = sa.Table(
    "study_salts",
    metadata,
    sa.Column("study_id", sa.Text, primary_key=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
)


def _place(*more: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, primary_key=True) for name in ("study_id", "source", "field", *more)]


# The value that each submission has in a field that is compared, and how many have it: the salted hash of a
# fingerprint, or the class of a page's time. Written under the study's lock only.
counted_values = sa.Table(
    "counted_values",
    metadata,
    *_place("submission_id"),
    sa.Column("key", sa.Text, nullable=False),
)
value_counts = sa.Table(
    "value_counts",
    metadata,
    *_place("key"),
    sa.Column("number", sa.Integer, nullable=False),
)

# MinHash signatures of texts, and the parts of these by which near duplicates find each other.
text_signatures = sa.Table(
    "text_signatures",
    metadata,
    *_place("submission_id"),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("bands", ARRAY(sa.BigInteger), nullable=False),
)
text_bands = sa.Table(
    "text_bands",
    metadata,
    *_place(),
    sa.Column("band", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("submission_id", sa.Text, primary_key=True),
)

studies = sa.Table(
    "studies",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("seen_at", _moment, nullable=False, server_default=_now),
    sa.Column("data", JSONB, nullable=False),
    sa.Column("listed_at", _moment),  # when Prolific's list of its submissions was last read completely
)

decisions = sa.Table(
    "decisions",
    metadata,
    _identity(),
    sa.Column("submission_id", sa.Text, nullable=False),
    sa.Column("study_id", sa.Text),
    sa.Column("participant_id", sa.Text),
    sa.Column("decided_at", _moment, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("proposed", sa.Text, nullable=False),
    sa.Column("guard", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("rule_file", sa.Text),
    sa.Column("rules_hash", sa.Text),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("action", JSONB(none_as_null=True)),
    sa.Column("tag", sa.Text),
    sa.Column("by", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("trace", JSONB, nullable=False),
    sa.Column("facts", JSONB, nullable=False),
    sa.Column("recheck_at", _moment),
    sa.Index("decisions_submission_id", "submission_id", "id"),
    sa.Index("decisions_study_id", "study_id", "id"),
    sa.Index("decisions_decided_at", "decided_at"),
    sa.Index("decisions_participant_id", "participant_id", "id"),
    sa.Index("decisions_outcome", "outcome", "id"),
    sa.Index("decisions_rule", "rule", "id"),
    sa.Index("decisions_trigger", "trigger", "id"),
    sa.Index("decisions_guard", "guard", "id", postgresql_where=sa.text("guard IS NOT NULL")),
    sa.Index(
        "decisions_holds",
        "decided_at",
        "submission_id",
        postgresql_where=sa.text("outcome = 'hold' OR guard = 'hold_expired'"),
    ),
    sa.Index("decisions_held_rule", "rule", "submission_id", postgresql_where=sa.text("outcome = 'hold'")),
    sa.Index("decisions_held_guard", "guard", "submission_id", postgresql_where=sa.text("outcome = 'hold'")),
    sa.Index("decisions_recheck_at", "recheck_at", postgresql_where=sa.text("recheck_at IS NOT NULL")),
)

# An attempt is written before Prolific is called, its answer afterwards: after a crash in between there is no answer.
attempts = sa.Table(
    "attempts",
    metadata,
    _identity(),
    sa.Column("decision_id", sa.BigInteger, sa.ForeignKey("decisions.id"), nullable=False),
    sa.Column("at", _moment, nullable=False, server_default=_now),
    sa.Column("request", JSONB(none_as_null=True)),
    sa.Index("attempts_decision_id", "decision_id", "id"),
)

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("attempt_id", sa.BigInteger, sa.ForeignKey("attempts.id"), primary_key=True),
    sa.Column("at", _moment, nullable=False, server_default=_now),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("status_code", sa.Integer),
    sa.Column("answer", JSONB(none_as_null=True)),
)

# What is to be done beside a decision, once it is applied: ``due_at`` next, null when it is done or given up.
also_actions = sa.Table(
    "also_actions",
    metadata,
    sa.Column("decision_id", sa.BigInteger, sa.ForeignKey("decisions.id"), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("request", JSONB, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("since", _moment, nullable=False, server_default=_now),
    sa.Column("due_at", _moment, server_default=_now),
    sa.Index("also_actions_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
)

# Each decision's status: its newest attempt's answer, ``pending`` without one, else what its outcome implies. Triggers
# keep this table and the next two, because the previous version also writes decisions during a rolling upgrade.
decision_states = sa.Table(
    "decision_states",
    metadata,
    sa.Column("decision_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("attempt_id", sa.BigInteger),
    sa.Index("decision_states_status", "status", "decision_id"),
)

# Counts as sums of changes. Rows are only added, so that transactions never wait for each other's counter, and a
# periodic run sums them up. Keys: decisions/outcome/status, events/readable or unreadable, unclaimed,
# observed/file/rule/would.
tallies = sa.Table(
    "tallies",
    metadata,
    sa.Column("key", ARRAY(sa.Text), nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
)

# The submissions that a rule under observation would have decided, each once.
observations = sa.Table(
    "observations",
    metadata,
    sa.Column("rule_file", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("would", sa.Text, primary_key=True),
    sa.Column("submission_id", sa.Text, primary_key=True),
)

rule_files = sa.Table(
    "rule_files",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),  # SHA-256 of the bytes, which are the text's UTF-8
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("first_loaded_at", _moment, nullable=False, server_default=_now),
)

# Each set of rule files that was loaded without errors, newest last; ``files`` is name -> hash.
rule_books = sa.Table(
    "rule_books",
    metadata,
    _identity(),
    sa.Column("loaded_at", _moment, nullable=False, server_default=_now),
    sa.Column("files", JSONB, nullable=False),
)

# The reviews of a submission: how many began in an hour, and the failures since the last one that ended well.
reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("submission_id", sa.Text, primary_key=True),
    sa.Column("hour_began", _moment, nullable=False, server_default=_now),
    sa.Column("in_hour", sa.Integer, nullable=False, server_default="0"),
    sa.Column("outages", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refusals", sa.Integer, nullable=False, server_default="0"),
    sa.Column("troubled_since", _moment),
)

# Periodic runs, once for all replicas: when each last began, and its result.
# The names of this table and of ``said`` are from earlier versions. Renamed, they would stop the replicas of
# these versions during an update.
turns = sa.Table(
    "turns",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("began_at", _moment, nullable=False, server_default=_now),
    sa.Column("ended_at", _moment),
    sa.Column("said", JSONB(none_as_null=True)),
)

# What each worker was started with, so that commands and other replicas report the settings of the service at work.
worker_settings = sa.Table(
    "worker_settings",
    metadata,
    sa.Column("worker_id", sa.BigInteger, primary_key=True, autoincrement=False),  # of procrastinate_workers
    sa.Column("since", _moment, nullable=False, server_default=_now),
    sa.Column("settings", JSONB, nullable=False),
)

# The heads of all versions of the service that work with this schema. A migration adds its own, and removes those
# that need what it drops.
schema_heads = sa.Table(
    "schema_heads",
    metadata,
    sa.Column("head", sa.Text, primary_key=True),
    sa.Column("since", _moment, nullable=False, server_default=_now),
)

# Pauses and circuit breakers of a study, or of the service if ``study_id`` is null. A person pauses and resumes. A
# limit that is reached, the ``guard``, opens a breaker. The newest rows are in force. ``decision_id`` is the newest
# decision at a resume (earlier ones count towards no limit), or the one that opened the breaker.
# The name is from earlier versions, see ``turns``.
brakes = sa.Table(
    "brakes",
    metadata,
    _identity(),
    sa.Column("at", _moment, nullable=False, server_default=_now),
    sa.Column("study_id", sa.Text),
    sa.Column("kind", sa.Text, nullable=False),  # pause, resume, open
    sa.Column("guard", sa.Text),
    sa.Column("decision_id", sa.BigInteger),
    sa.Column("by", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.CheckConstraint("kind IN ('pause', 'resume', 'open')", name="brakes_kind"),
    sa.Index("brakes_study_id", "study_id", "id"),
)

# The outbox of notifications: each kind and key once.
# The name is from earlier versions, see ``turns``.
notices = sa.Table(
    "notices",
    metadata,
    _identity(),
    sa.Column("at", _moment, nullable=False, server_default=_now),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", _moment, nullable=False, server_default=_now),
    sa.Column("sent_at", _moment),
    sa.Index("notices_kind", "kind", "key", unique=True),
    sa.Index("notices_due", "due_at", postgresql_where=sa.text("sent_at IS NULL")),
)

# What people decided on the dashboard: each is carried out at ``due_at`` unless it is undone before, so that a
# mistake can be taken back before anything leaves. ``seen`` is the decision that the person was shown.
planned_decisions = sa.Table(
    "planned_decisions",
    metadata,
    _identity(),
    sa.Column("batch", sa.Text, nullable=False),
    sa.Column("submission_id", sa.Text, nullable=False),
    sa.Column("action", JSONB, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("seen", sa.BigInteger),
    sa.Column("planned_at", _moment, nullable=False, server_default=_now),
    sa.Column("due_at", _moment, nullable=False),
    sa.Column("ended_at", _moment),
    sa.Column("decision_id", sa.BigInteger),
    sa.Column("refusal", sa.Text),
    sa.Column("undone_by", sa.Text),
    sa.Index("planned_decisions_open", "submission_id", unique=True, postgresql_where=_open),
    sa.Index("planned_decisions_due_at", "due_at", postgresql_where=_open),
    sa.Index("planned_decisions_batch", "batch"),
    sa.Index("planned_decisions_submission_id", "submission_id", "id"),
)

# Submissions that a person selected together, frozen at that moment: ``seen`` are their newest decisions.
selections = sa.Table(
    "selections",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("at", _moment, nullable=False, server_default=_now),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("submissions", ARRAY(sa.Text), nullable=False),
    sa.Column("seen", ARRAY(sa.BigInteger), nullable=False),
)

# Dashboard sessions that were signed out before they expired.
sign_outs = sa.Table(
    "sign_outs",
    metadata,
    sa.Column("session_id", sa.Text, primary_key=True),
    sa.Column("until", _moment, nullable=False),
)

# What the rules of AUTOREVIEW_SHADOW_RULES_DIR come to for the facts of a decision; nothing is ever sent for it.
# ``outcome`` is null where no rule file claims the study, or deciding failed: ``reason`` says which.
shadow_decisions = sa.Table(
    "shadow_decisions",
    metadata,
    sa.Column("decision_id", sa.BigInteger, sa.ForeignKey("decisions.id"), primary_key=True),
    sa.Column("submission_id", sa.Text, nullable=False),
    sa.Column("decided_at", _moment, nullable=False, server_default=_now),
    sa.Column("rules_hash", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("rule", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("trace", JSONB, nullable=False, server_default=sa.text("'[]'::jsonb")),
    sa.Index("shadow_decisions_submission_id", "submission_id", "decision_id"),
)
