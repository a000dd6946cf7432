"""How much is measured: small enough for ten minutes on two slow cores."""

from __future__ import annotations

from dataclasses import dataclass

from procutils.models import DEFAULT


@dataclass(frozen=True)
class Settings:
    """The same for all measurements of a run.

    train_cases, test_cases: of the same simulated firm, one after the other in time.
    prototype_steps: optimiser steps of the prototype's training that are measured, after one to
        warm up. whole: all of them, instead.
    rounds: how often either side has its turn, where turns are taken.
    scored_cases: scored in each round, as many as the full profile's test part holds: the more,
        the more they share.
    prefixes: answered by greedy generation in each round.
    latency_events: events that come one by one.
    calibrated_cases: what the watchdog's thresholds are learned from. watched_cases: what it
        follows. trained: whether with the model of runs/quick, if that is there.
    appended_cases: appended event by event. log_events: in the generated event log.
    """

    base_model: str = DEFAULT
    seed: int = 7
    train_cases: int = 200
    test_cases: int = 60
    prototype_steps: int = 5
    whole: bool = False
    rounds: int = 3
    scored_cases: int = 1_600
    prefixes: int = 8
    latency_events: int = 300
    calibrated_cases: int = 200
    watched_cases: int = 24
    trained: bool = True
    appended_cases: int = 400
    log_events: int = 50_000
