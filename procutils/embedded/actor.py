"""A thread that does, one after the other, what others ask of it.

What it holds is touched by that thread alone, and so needs no lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from .messages import REFUSALS


class Actor:
    """``work`` is called after each round of what was asked; it says how long to sleep if nothing
    more is asked: seconds, None for as long as it takes."""

    def __init__(self, name: str) -> None:
        self._inbox: queue.SimpleQueue[tuple[Callable[[], Any], Future | None]]
        self._inbox = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"kurrentdb {name}")

    def work(self) -> float | None:
        raise NotImplementedError

    def ended(self) -> None:
        """Called when the thread ends, asked to or by a fault."""

    def refusal(self) -> Exception:
        """What ``ask`` raises once the thread has ended."""
        raise NotImplementedError

    def tell(self, what: Callable[[], Any]) -> None:
        """Have something done; nothing happens if the thread has ended."""
        self._inbox.put((what, None))

    def ask(self, what: Callable[[], Any]) -> Any:
        """Have something done and return its result, or raise what it raises."""
        answer: Future = Future()
        with self._closing:
            if self._closed:
                raise self.refusal()
            self._inbox.put((what, answer))
        return answer.result()

    def close(self, last: Callable[[], Any]) -> None:
        """Have ``last`` done as the last thing. Closing twice is fine."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            answer: Future = Future()
            self._inbox.put((last, answer))
            self._inbox.put((self._end, None))
        answer.result()

    def _run(self) -> None:
        try:
            sleep: float | None = 0.0
            while True:
                self._round(sleep)
                sleep = self.work()
        except _End:
            pass
        finally:  # also of a fault: whoever waits is not to wait for ever
            with self._closing:
                self._closed = True
            while not self._inbox.empty():
                _, answer = self._inbox.get()
                if answer is not None:
                    answer.set_exception(self.refusal())
            self.ended()

    def _round(self, sleep: float | None) -> None:
        try:
            self._do(*self._inbox.get(block=sleep != 0, timeout=sleep))
            while True:
                self._do(*self._inbox.get_nowait())
        except queue.Empty:
            pass

    @staticmethod
    def _do(what: Callable[[], Any], answer: Future | None) -> None:
        if answer is None:
            what()
            return
        try:
            answer.set_result(what())
        except REFUSALS as error:
            answer.set_exception(error)
        except BaseException as error:
            answer.set_exception(error)
            raise

    @staticmethod
    def _end() -> None:
        raise _End


class _End(Exception):
    """Asked to end."""
