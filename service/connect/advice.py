"""Advice about Prolific's errors, for people who set up or operate the service."""

from service.errors import AutoreviewError
from service.prolific.errors import (
    CallsPaused,
    NotFound,
    RateLimited,
    ServerError,
    TokenRefused,
    Unauthorised,
    Unreachable,
)

RENEW = (
    "Make a token in Prolific's settings, and set AUTOREVIEW_PROLIFIC_TOKEN or the file that "
    "AUTOREVIEW_PROLIFIC_TOKEN_FILE names."
)
PERMISSION = (
    "Let an admin of the workspace make its owner a member who may set up webhooks, use the token of "
    "somebody who is, or choose another workspace with --workspace."
)
LATER = "Run it again in a minute."
REACH = "Look at AUTOREVIEW_PROLIFIC_URL and at this machine's way to the internet, and run it again."


def advice(error: AutoreviewError) -> str | None:
    """Return what to do about an error, None if its message says so."""
    match error:
        case TokenRefused():
            return RENEW
        # Prolific answers either for what the token may not see.
        case Unauthorised() | NotFound():
            return PERMISSION
        case Unreachable():
            return REACH
        case CallsPaused() | RateLimited() | ServerError():
            return LATER
        case _:
            return None
