"""Run blocking calls, each in its own thread, which is abandoned if it hangs."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T], *, name: str) -> T:
    """Run a call in its own thread. The caller may stop waiting, and the thread then ends by itself.

    A thread of asyncio's or of an executor would keep the process from ending while a driver hangs.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            found = call()
        except BaseException as error:
            _call_back(loop, _fail, result, error)
        else:
            _call_back(loop, _succeed, result, found)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await result


def _call_back(loop: asyncio.AbstractEventLoop, what: Callable[..., None], *arguments: Any) -> None:
    # The process may have ended its loop while a driver hung.
    if not loop.is_closed():
        loop.call_soon_threadsafe(what, *arguments)


def _succeed(result: asyncio.Future[T], found: T) -> None:
    if not result.done():
        result.set_result(found)


def _fail(result: asyncio.Future[Any], error: BaseException) -> None:
    if not result.done():
        result.set_exception(error)
