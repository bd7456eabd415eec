"""The five actions, as rule files, the API, the command line and sheets write them."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import InitErrorDetails

from service.domain import decision
from service.domain.decision import MESSAGE_LENGTH, REJECTION_CATEGORIES, Action, Outcome
from service.rules.format.findings import Code
from service.rules.format.quantities import number_from
from service.rules.format.values import (
    TEXT_SCHEMA,
    Closed,
    ParticipantText,
    Reads,
    Text,
    described,
    detail,
    is_null,
    listed,
    one_line,
    one_of,
    wrong,
)

ACTIONS = tuple(outcome.value for outcome in Outcome)
PERCENTAGES = (8, 99)  # of the reward, Prolific's bounds
Message = Annotated[
    str,
    Reads(lambda value, info: info.context.message(value), TEXT_SCHEMA | {"minLength": MESSAGE_LENGTH}),
]


class Approve(Closed):
    """Pay. Nothing follows the colon."""

    @classmethod
    def refusal(cls, given: object) -> str:
        return f"nothing follows the colon, not {described(given)}: write `approve:`"

    def action(self) -> Action:
        return decision.Approve()


class Reject(Closed):
    """Do not pay. The participant reads the message."""

    category: Annotated[str, one_of(REJECTION_CATEGORIES)] = Field(
        description="Prolific's category for the rejection."
    )
    message: Message = Field(
        description=f"The text to the participant, {MESSAGE_LENGTH} characters or more. {{fact}} fills in a fact."
    )

    @classmethod
    def refusal(cls, given: object) -> str:
        return f"{super().refusal(given)}: write `category:` and `message:` below it, indented"

    def action(self) -> Action:
        return decision.Reject(self.category, self.message)


class RequestReturn(Closed):
    """Ask the participant to return the submission, unpaid."""

    reasons: Annotated[list[ParticipantText], listed("texts", example='reasons: ["{}"]')] = Field(
        description="Sent to the participant.",
        examples=[["Withdrew consent."]],
        json_schema_extra={"minItems": 1},
    )

    @classmethod
    def refusal(cls, given: object) -> str:
        return f'{super().refusal(given)}: write `request_return: {{reasons: ["{one_line(given)}"]}}`'

    def action(self) -> Action:
        return decision.RequestReturn(tuple(self.reasons))


class Complete(Closed):
    """Pay with a completion code of the researcher."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["code_type"]}, {"required": ["code"]}]}
    )

    code_type: Text | None = Field(
        None, description="The type of the study's researcher code.", examples=["PARTIAL_PAYMENT"]
    )
    code: Text | None = Field(None, description="The researcher code itself.")
    percentage_of_reward: Annotated[float, number_from(*PERCENTAGES)] | None = Field(
        None, description="For codes with dynamic payment."
    )
    message_to_participant: ParticipantText | None = Field(
        None, description="Sent to the participant.", examples=["Thank you."]
    )

    @classmethod
    def refusal(cls, given: object) -> str:
        return f"{super().refusal(given)}: write `complete: {{code_type: {one_line(given)}}}`"

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        entered = [key for key in ("code_type", "code") if given.get(key) is not None]
        if not entered:
            yield detail(wrong(Code.MISSING_KEY, "needs code_type or code"))
        if len(entered) > 1:
            yield detail(wrong(Code.BAD_VALUE, "has both: code_type or code, one of them"))

    def action(self) -> Action:
        return decision.Complete(**self.model_dump())


class Actions(Closed):
    """Exactly one action."""

    approve: (
        Annotated[
            Approve,
            BeforeValidator(lambda given: {} if is_null(given) else given),
            WithJsonSchema({"type": ["object", "null"], "maxProperties": 0, "description": Approve.__doc__}),
        ]
        | None
    ) = None
    reject: Reject | None = None
    request_return: RequestReturn | None = None
    complete: Complete | None = None
    hold: ParticipantText | None = Field(
        None,
        description="What the reviewer should check.",
        examples=["Unknown code; look at the data."],
    )

    @classmethod
    def together(cls, given: dict[str, Any]) -> Iterable[InitErrorDetails]:
        named = [key for key in given if key in ACTIONS]
        if not named:
            yield detail(wrong(Code.ACTION_COUNT, f"has no action: {', '.join(ACTIONS)}"))
        if len(named) > 1:
            message = f"has {' and '.join(named)}: one action a rule"
            yield detail(wrong(Code.ACTION_COUNT, message, key=True), named[1])

    def action(self) -> Action:
        if self.hold is not None:
            return decision.Hold(self.hold)
        form = self.reject or self.request_return or self.complete or Approve()
        return form.action()
