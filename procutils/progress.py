"""One line of progress per notebook, for a terminal and for a log."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any


class Progress:
    """``03_building_examples  12/31 cells  0:14``, kept current where it is shown on a terminal."""

    def __init__(self, name: str, cells: int) -> None:
        self._name = name
        self._cells = cells
        self._started = time.monotonic()
        self._live = sys.stdout.isatty()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self.index = 0

    def cell(self, cell: Any, cell_index: int) -> None:
        """A cell starts; the index counts from 0."""
        self.index = cell_index

    def __enter__(self) -> Progress:
        if self._live:
            self._ticker.start()
        else:
            print(f"{self._name:<24}", end="", flush=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._live:
            self._ticker.join()
            print(f"\r{self._name:<24}", end="")
        print(self._state(), flush=True)

    def _state(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        cell = min(self.index + 1, self._cells)
        return f"  {cell:>3}/{self._cells} cells  {minutes}:{seconds:02}"

    def _tick(self) -> None:
        while not self._over.wait(1.0):
            print(f"\r{self._name:<24}{self._state()}", end="", flush=True)
