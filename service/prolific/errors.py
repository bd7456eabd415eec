"""The branch of the error tree that talking to Prolific grows.

    ProlificError
    ├── Resting              prolific_resting: not asked at all, this process leaves Prolific alone for a while
    ├── Unreachable          prolific_unreachable: no answer came; ``sent`` says if the request may have left
    ├── IncompleteList       prolific_incomplete_list: a list was read, and rows of it are missing
    └── Refused              prolific_refused: an answer came, and it was not what was asked for
        ├── Unauthorised     prolific_unauthorised: 401, 403
        │   └── TokenRefused prolific_token_refused: the token is refused whatever is asked with it
        ├── NotFound         prolific_not_found: 404
        ├── BadRequest       prolific_bad_request: 400, 409, 422
        ├── RateLimited      prolific_rate_limited: 429
        ├── ServerError      prolific_server_error: 5xx
        └── Unreadable       prolific_unreadable: 2xx, but not what was expected; 401, 403, and nobody can
                                    tell whether that is about the token
    AutoreviewError
    └── NoSuchCode           no_such_code: a study has no code that a *complete* could be sent with

After ``Unreachable`` with ``sent``, ``ServerError`` and ``Unreadable`` nobody knows whether a transition
took effect: look at the submission before trying again.
"""

from service.errors import AutoreviewError, ProlificError

MAX_ANSWER = 2_000  # characters of an answer that are kept


class Resting(ProlificError):
    """Prolific is left alone for a while; nothing was sent. ``after`` is in seconds."""

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
    """A list was read to its end twice, and rows of it are missing: what was read is a part of the list."""

    code = "prolific_incomplete_list"


class Refused(ProlificError):
    """Prolific refused."""

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
    """Prolific does not accept the token for this."""

    code = "prolific_unauthorised"


class TokenRefused(Unauthorised):
    """Prolific does not accept the token at all."""

    code = "prolific_token_refused"


class NotFound(Refused):
    """Prolific knows no such thing, or does not show it to this token."""

    code = "prolific_not_found"


class BadRequest(Refused):
    """Prolific does not accept what was sent, or not in the present status."""

    code = "prolific_bad_request"


class RateLimited(Refused):
    """Prolific asks to be called less often."""

    code = "prolific_rate_limited"


class ServerError(Refused):
    """Prolific has trouble of its own."""

    code = "prolific_server_error"


class Unreadable(Refused):
    """Prolific's answer cannot be read."""

    code = "prolific_unreadable"


class NoSuchCode(AutoreviewError):
    """The study has no such code."""

    code = "no_such_code"
