"""The errors of calls to Prolific, a branch of the error tree.

    ProlificError
    ├── CallsPaused          prolific_resting: nothing was sent, this process pauses its calls
    ├── Unreachable          prolific_unreachable: no answer; ``sent`` is False if the request can't have arrived
    ├── IncompleteList       prolific_incomplete_list: rows of a list are missing
    └── Refused              prolific_refused: an answer other than the expected one
        ├── Unauthorised     prolific_unauthorised: 401, 403
        │   └── TokenRefused prolific_token_refused: every call with the token is refused
        ├── NotFound         prolific_not_found: 404
        ├── BadRequest       prolific_bad_request: 400, 409, 422
        ├── RateLimited      prolific_rate_limited: 429
        ├── ServerError      prolific_server_error: 5xx
        └── Unreadable       prolific_unreadable: a 2xx with an unexpected body; a 401 or 403 while it is
                                    unknown whether the token is accepted
    AutoreviewError
    └── NoSuchCode           no_such_code: the study has no code for a *complete*

After ``Unreachable`` with ``sent``, ``ServerError`` and ``Unreadable`` it is unknown whether a transition took
effect: fetch the submission before trying again.
"""

from service.errors import AutoreviewError, ProlificError

MAX_ANSWER = 2_000  # characters of an answer that are stored


class CallsPaused(ProlificError):
    """Calls to Prolific are paused, and nothing was sent. ``after`` is the rest of the pause in seconds."""

    code = "prolific_resting"

    def __init__(self, message: str, *, after: float) -> None:
        super().__init__(message)
        self.after = after


class Unreachable(ProlificError):
    """Prolific could not be reached."""

    code = "prolific_unreachable"

    def __init__(self, message: str | None = None, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class IncompleteList(ProlificError):
    """A list was read twice, and rows are missing."""

    code = "prolific_incomplete_list"


class Refused(ProlificError):
    """Prolific refused the request."""

    code = "prolific_refused"

    def __init__(
        self,
        status_code: int,
        detail: str | None = None,
        *,
        answer: str = "",
        retry_after: float | None = None,
    ) -> None:
        self.status_code = status_code
        self.detail = detail or (self.__doc__ or "").strip()
        self.answer = answer[:MAX_ANSWER]
        self.retry_after = retry_after
        super().__init__(f"HTTP {status_code}: {self.detail}")


class Unauthorised(Refused):
    """Prolific does not accept the token for this request."""

    code = "prolific_unauthorised"


class TokenRefused(Unauthorised):
    """Prolific does not accept the token."""

    code = "prolific_token_refused"


class NotFound(Refused):
    """Prolific does not know the object, or does not show it to this token."""

    code = "prolific_not_found"


class BadRequest(Refused):
    """Prolific does not accept the request, or not in the present status."""

    code = "prolific_bad_request"


class RateLimited(Refused):
    """Prolific asks to be called less often."""

    code = "prolific_rate_limited"


class ServerError(Refused):
    """Prolific reports an error of its own."""

    code = "prolific_server_error"


class Unreadable(Refused):
    """Prolific's answer can't be read."""

    code = "prolific_unreadable"


class NoSuchCode(AutoreviewError):
    """The study has no such code."""

    code = "no_such_code"
