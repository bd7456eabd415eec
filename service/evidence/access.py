"""Access to the evidence routes: the token, or a body that a platform signs with a secret."""

import binascii
import hmac
import json
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from service.errors import ConfigurationError
from service.evidence.refusals import DeliveryRefused
from service.rules import RuleFile, Signature
from service.secret import Secret
from service.web.bearer import Bearer, client_network


@dataclass(frozen=True, slots=True)
class Access:
    """Checks tokens and signatures. ``secret_of`` returns the secret of a source, None if it is not set."""

    bearer: Bearer
    secret_of: Callable[[str], Secret | None]
    _secrets: dict[str, Secret | None] = field(default_factory=dict)

    def check(
        self,
        request: Request,
        body: bytes,
        source: str,
        files: Sequence[RuleFile],
        *,
        accepts_basic: bool,
    ) -> tuple[RuleFile, ...]:
        """Return the files whose declaration of the source accepts the request; without files the token is checked.

        A source that declares a signature accepts nothing else. Raise DeliveryRefused.
        """
        unsigned = tuple(file for file in files if not file.evidence[source].signature)
        # Files of several studies may declare the source differently, some signed and some not.
        if len(unsigned) < len(files) and (
            accepted := self._signed(request, body, source, files, not unsigned)
        ):
            return accepted
        if answer := self.bearer.refusal(request, accepts_basic=accepts_basic):
            raise _refused_token(answer)
        return unsigned

    def is_flooding(self, request: Request, kind: str) -> bool:
        """Count a wrong proof of the client; return True if too many came from its address."""
        return self.bearer.wrong.add(client_network(request), kind)

    def _signed(
        self, request: Request, body: bytes, source: str, files: Sequence[RuleFile], is_needed: bool
    ) -> tuple[RuleFile, ...]:
        """Return the files whose signature the request has; where one ``is_needed``, raise DeliveryRefused without."""
        variable = f"AUTOREVIEW_SOURCE_{source.upper()}"
        try:
            secret = self._secret(source)
            keys = {secret.read(), *secret.parts()} if secret else set()
        except ConfigurationError as error:
            raise DeliveryRefused(503, error.code, str(error)) from None
        accepted = tuple(
            file
            for file in files
            if (declared := file.evidence[source].signature)
            and is_signed(declared, request.headers.get(declared.header), body, keys)
        )
        if accepted or not is_needed:
            return accepted
        # 403 and not 401: no signature of the platform could be right.
        if not keys:
            raise DeliveryRefused(
                403,
                "not_configured",
                f"Set {variable} to the secret that signs the bodies of source {source}.",
            )
        names = sorted({declared.header for file in files if (declared := file.evidence[source].signature)})
        if self.is_flooding(request, "source_signature"):
            message = "Too many wrong signatures came from this address within a minute."
            raise DeliveryRefused(429, "too_many_wrong_tokens", message, headers={"Retry-After": "60"})
        message = (
            f"Source {source} takes signed bodies only: {' or '.join(names)} must have the HMAC-SHA256 of the body "
            f"by the secret in {variable}."
        )
        raise DeliveryRefused(401, "signature", message)

    def _secret(self, source: str) -> Secret | None:
        # One object per source: it keeps the value of before while its file is replaced.
        if self._secrets.get(source) is None:
            self._secrets[source] = self.secret_of(source)
        return self._secrets[source]


def _refused_token(answer: Response) -> DeliveryRefused:
    refusal_body = json.loads(bytes(answer.body))
    headers = {
        name: value for name, value in answer.headers.items() if name in ("retry-after", "www-authenticate")
    }
    return DeliveryRefused(
        answer.status_code, refusal_body["error"], refusal_body["message"], headers=headers
    )


def is_signed(declared: Signature, given: str | None, body: bytes, secrets: set[str]) -> bool:
    """Return True if the header has the HMAC-SHA256 of the body by one of the secrets."""
    if given is None or not given.startswith(declared.prefix):
        return False
    written = given.removeprefix(declared.prefix).strip()
    try:
        digest = bytes.fromhex(written) if declared.encoding == "hex" else b64decode(written, validate=True)
    except (ValueError, binascii.Error):
        return False
    return any(hmac.compare_digest(hmac.digest(one.encode(), body, sha256), digest) for one in secrets)
