"""The yardstick of reviews: ``python -m tests.bench.bare_loop URL NUMBER CONCURRENCY``.

GET a submission, POST its transition, with httpx and nothing else. Prints pairs of calls per second.
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import httpx
import uvloop

from tests.bench.standin import API


async def _pairs(http: httpx.AsyncClient, numbers: Iterator[int]) -> None:
    for number in numbers:
        path = f"{API}/submissions/{number:024x}/"
        (await http.get(path)).raise_for_status().json()
        (await http.post(f"{path}transition/", json={"action": "APPROVE"})).raise_for_status().json()


async def run(url: str, number: int, concurrency: int) -> float:
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    headers = {"Authorization": "Token a-token", "Accept": "application/json"}
    async with httpx.AsyncClient(base_url=url, limits=limits, headers=headers) as http:
        numbers = iter(range(number))
        began = time.perf_counter()
        await asyncio.gather(*(_pairs(http, numbers) for _ in range(concurrency)))
        return number / (time.perf_counter() - began)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
