"""The soak's rule files: the shipped ones in short, with waits that fit a run of minutes."""

from pathlib import Path

from service.sandbox.studies import STROOP, TWO_PARTS
from tests.soak.plan import Plan

LIMITS = "limits: {reject: {share: 100%, of_last: 50, per_day: 100000}}"

NEVER_RETURNED = """
  - name: asked and never returned
    when: submission.return_requested
    reject:
      category: NO_DATA
      message: >-
        We asked you to return this submission, because there is nothing in it that we could use, and you did
        not answer. If you think this is a mistake, please write to us.
"""


def write_rules(folder: Path, plan: Plan) -> Path:
    """One file for each of the sandbox's studies."""
    folder.mkdir()
    (folder / "stroop.yaml").write_text(_stroop(plan))
    (folder / "two-parts.yaml").write_text(_two_parts(plan))
    return folder


def _stroop(plan: Plan) -> str:
    return f"""
version: 1
name: Soak, Stroop
studies: [{STROOP}]
evidence:
  survey:
    from: push
    fields: {{attention_failed: int, consented: bool, finished: bool, gibberish: double}}
    wait: {plan.evidence_wait}s
{LIMITS}
rules: {NEVER_RETURNED}
  - name: consent withdrawn
    when: evidence.survey.consented == false
    request_return: {{reasons: ["You withdrew your consent."]}}
    recheck_after: {plan.recheck_after}s
  - name: neither finished nor entered a code
    when: submission.code_type == "NONE" && evidence.survey.finished == false
    request_return: {{reasons: ["You did not reach the end of the study."]}}
    recheck_after: {plan.recheck_after}s
  - name: failed two attention checks
    when: evidence.survey.attention_failed >= 2 && study.estimated_completion_time >= 5.0
    reject:
      category: FAILED_CHECK
      message: >-
        You missed {{evidence.survey.attention_failed}} of the attention checks in our study. Each of them told
        you in plain words which answer to give. If you think this is a mistake, please write to us.
  - name: unknown code
    when: submission.code_type == "UNKNOWN"
    hold: "The code {{submission.entered_code}} is none of the study's codes."
otherwise: approve
"""


def _two_parts(plan: Plan) -> str:
    return f"""
version: 1
name: Soak, two parts
studies: [{TWO_PARTS}]
evidence:
  task:
    from: push
    fields: {{parts_done: int, screened_out: bool, consented: bool, attention_failed: int}}
    wait: {plan.evidence_wait}s
{LIMITS}
rules: {NEVER_RETURNED}
  - name: consent withdrawn
    when: evidence.task.consented == false
    request_return: {{reasons: ["You withdrew your consent."]}}
    recheck_after: {plan.recheck_after}s
  - name: screened out
    when: evidence.task.screened_out
    complete: {{code_type: SCREENED_OUT_PAYMENT, message_to_participant: "Thank you, not this time."}}
  - name: half done
    when: evidence.task.parts_done == 1
    complete: {{code_type: PARTIAL_PAYMENT, percentage_of_reward: 50, message_to_participant: "Thank you."}}
  - name: unknown code
    when: submission.code_type == "UNKNOWN"
    hold: "The code {{submission.entered_code}} is none of the study's codes."
otherwise: approve
"""
