"""The threads that serve calls."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent import futures


class Workers(futures.ThreadPoolExecutor):
    """A pool whose threads start on demand and never keep the interpreter alive.

    Each live subscription occupies a thread. A ThreadPoolExecutor's own threads are joined when
    the interpreter exits, so a forgotten subscription would hang it for ever.
    """

    def __init__(self, at_most: int) -> None:
        super().__init__(max_workers=at_most)
        self._calls: queue.SimpleQueue = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0
        self._starting = threading.Lock()

    def submit(self, call: Callable, /, *args: object, **kwargs: object) -> futures.Future:
        future: futures.Future = futures.Future()
        self._calls.put((future, call, args, kwargs))
        if not self._idle.acquire(blocking=False):
            with self._starting:
                if self._started < self._max_workers:
                    self._started += 1
                    threading.Thread(target=self._work, daemon=True, name="kurrentdb").start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for _ in range(self._started):
            self._calls.put(None)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call, args, kwargs = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)
                    with self._starting:
                        self._started -= 1  # this thread ends, loudly; another may take its place
                    raise
            self._idle.release()
