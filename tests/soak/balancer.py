"""What stands between the outside and the web processes: one address, behind it a replica drawn by chance.

Prolific has one subscription, to one URL; in a cluster a Service behind it picks any of the replicas, so that
the tries of one event reach different ones. Two subscriptions would be two events where Prolific sends one.
Whom it picks may be dead: the sender sees the error and comes again.
"""

from collections import Counter
from collections.abc import Sequence

import httpx

from tests.soak.plan import Plan

ADDRESS = "http://autoreview.soak"
WEBHOOKS = "/webhooks/prolific"


class Balancer(httpx.AsyncBaseTransport):
    """A transport for clients outside the service. It records the requests answered with 2xx.

    ``acknowledged`` are the ids of events answered 2xx, ``refused`` counts what else came by its kind. While
    ``lost_answers`` is above 0, so great a share of 2xx answers to webhooks never reaches the sender.
    """

    def __init__(self, ports: Sequence[int], plan: Plan) -> None:
        self._ports = ports
        self._random = plan.random("balancer")
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=100))
        self.acknowledged = Counter[str]()
        self.refused = Counter[str]()
        self.lost_answers = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host="127.0.0.1", port=self._random.choice(self._ports))
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TransportError as error:
            self.refused[type(error).__name__] += 1
            raise
        if not 200 <= response.status_code < 300:
            self.refused[str(response.status_code)] += 1
        elif request.url.path == WEBHOOKS:
            self.acknowledged[request.headers["X-Event-ID"]] += 1
            if self._random.random() < self.lost_answers:
                await response.aclose()
                raise httpx.ReadError("the answer was lost on its way", request=request)
        return response

    async def aclose(self) -> None:
        """One caller has ended; the others go on."""

    async def end(self) -> None:
        await self._transport.aclose()
