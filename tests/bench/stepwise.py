"""A training that goes one optimiser step at a time, so that two can take turns."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore
from types import TracebackType

from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from .table import timed


class _Stopped(Exception):
    """The training is not to go on."""


class Stepwise(TrainerCallback):
    """Trains in a thread of its own, which waits before each step until :meth:`step` lets it go.

    ``with Stepwise(trainer) as training: training.step()``. Leaving it stops the training where it
    is. seconds: of each step so far, with the logging, saving and loading that followed it.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.seconds: list[float] = []
        self._trainer = trainer
        self._go, self._due = Semaphore(0), Semaphore(0)
        self._stopped = self._over = False
        self._pool = ThreadPoolExecutor(1)
        self._training: Future[None] | None = None
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(self)

    @property
    def total(self) -> int:
        """How many steps the whole training has."""
        return self._trainer.state.max_steps

    def step(self) -> bool:
        """Take a step; False if none is left. Raises what the training raised."""
        if self._over:
            return False
        _, seconds = timed(self._turn)
        self.seconds.append(seconds)
        return True

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        self._due.release()
        self._go.acquire()
        if self._stopped:
            raise _Stopped

    def __enter__(self) -> Stepwise:
        self._training = self._pool.submit(self._train)
        self._wait()  # for the first step: the set-up is not timed
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped = True
        self._go.release()
        self._pool.shutdown()

    def _turn(self) -> None:
        self._go.release()
        self._wait()

    def _wait(self) -> None:
        """Until a step is due, or the training over."""
        self._due.acquire()
        if self._over:
            self._training.result()

    def _train(self) -> None:
        try:
            self._trainer.train()
        except _Stopped:
            pass
        finally:
            self._over = True
            self._due.release()
