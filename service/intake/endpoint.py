"""``POST /webhooks/prolific``: check the size, then the signature, then store. Never 2xx before the commit."""

from base64 import b64decode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from service.errors import ConfigurationError
from service.intake.event import event_id, read_event
from service.intake.signature import signed_form
from service.intake.writer import InboxWriter, Receipt
from service.secret import Secret
from service.telemetry.metrics import Metrics
from service.web.http import MAX_BODY, body_within, problem

RETRY_AFTER = {"Retry-After": "10"}


class WebhookEndpoint:
    """Receives Prolific's webhooks. Prolific sends a webhook again after any answer but 2xx."""

    def __init__(self, secrets: Secret, writer: InboxWriter, metrics: Metrics) -> None:
        self._secrets = secrets
        self._writer = writer
        self._metrics = metrics

    async def __call__(self, request: Request) -> Response:
        # The size comes before the signature, so that a large body costs no HMAC.
        body = await body_within(request)
        if body is None:
            return self._refuse(413, "too_large", f"The body is over {MAX_BODY} bytes.")
        headers = dict(request.scope["headers"])
        timestamp = headers.get(b"x-prolific-request-timestamp")
        try:
            secrets = self._secrets.parts()
        # 503 and not 401: Prolific sends it again, when the file may be back.
        except ConfigurationError as error:
            return self._refuse(503, error.code, "The signing secret can't be read; try again.")
        signature = headers.get(b"x-prolific-request-signature")
        form = signed_form(secrets, timestamp, body, signature)
        if form is None:
            return self._refuse(
                401, "signature", "The signature is missing, or made with none of the configured secrets."
            )
        self._metrics.signatures.labels(form.value).inc()
        return await self._store(headers, timestamp or b"", body, signature or b"")

    async def _store(
        self, headers: dict[bytes, bytes], timestamp: bytes, body: bytes, signature: bytes
    ) -> Response:
        identity = event_id(headers.get(b"x-event-id"), timestamp, body)
        event = read_event(identity, body, headers.get(b"x-timestamp"), signature=b64decode(signature))
        receipt = await self._writer.store(event)
        # After a 503 Prolific sends the event again.
        if receipt is Receipt.NOT_STORED:
            return self._refuse(503, "not_stored", "The event could not be stored; send it again.")
        self._metrics.webhooks.labels(receipt.value if event.readable else "unreadable").inc()
        return JSONResponse(
            {"event_id": identity, "status": receipt.value},
            status_code=202 if receipt is Receipt.ACCEPTED else 200,
        )

    def _refuse(self, status: int, code: str, message: str) -> Response:
        self._metrics.webhooks.labels(code).inc()
        return problem(status, code, message, headers=RETRY_AFTER if status == 503 else None)
