"""Cases → examples: split by time, measure what leaks, write JSONL with a data card."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from procutils.cases import Case
from procutils.encoding import Encoding

#: What each of the prototype's examples begins with.
SYSTEM_PROMPT = (
    "You predict business processes. Given the events of a case so far, answer with the type of "
    "the event that comes next, and nothing else."
)

#: The file that says how the cases were read and cut, so that it can be done again.
SPLIT = "split.json"


@dataclass(frozen=True)
class Split:
    """Three parts of a log, one after the other in time.

    train: learned from; its events end at ``cut``, as the log did then.
    running: ids of training cases still open at ``cut``: training does not know how they end.
    calibration: sets the thresholds. test: measured on, once.
    cut: when the first calibration case began.
    """

    train: list[Case]
    calibration: list[Case]
    test: list[Case]
    cut: datetime
    running: frozenset[str]

    def __iter__(self) -> Iterator[tuple[str, list[Case]]]:
        return iter((("train", self.train), ("calibration", self.calibration), ("test", self.test)))


def split(cases: Iterable[Case], train: int, calibration: int) -> Split:
    """The first ``train`` cases by their start, the next ``calibration``, and all the rest as test.

    No event after the cut reaches training: a case that runs across it is learned up to the cut.
    Raises ValueError if too few cases are there.
    """
    ordered = sorted(cases, key=lambda case: (case.events[0].at, case.id))
    if len(ordered) <= train + calibration or min(train, calibration) < 1:
        raise ValueError(
            f"{len(ordered)} cases cannot be split into {train} for training, {calibration} for "
            "calibration and some for test: seed more cases (notebook 02) or ask for fewer"
        )
    cut = ordered[train].events[0].at
    learned = [_until(cut, case) for case in ordered[:train]]
    return Split(
        train=learned,
        calibration=ordered[train : train + calibration],
        test=ordered[train + calibration :],
        cut=cut,
        running=frozenset(
            part.id
            for part, case in zip(learned, ordered, strict=False)
            if len(part.events) < len(case.events)
        ),
    )


def _until(cut: datetime, case: Case) -> Case:
    """The case as it stood at ``cut``."""
    return Case(case.id, list(takewhile(lambda event: event.at <= cut, case.events)))


def leakage(train: Iterable[Case], test: Iterable[Case], encoding: Encoding | None = None) -> float:
    """The share of test prefixes (lengths 1 to n, each counted) that also occur in training.

    By event types alone, or, with an ``encoding``, by the whole text that the model reads.
    Raises ValueError if there are no test prefixes.
    """

    def prefixes(case: Case) -> Iterator[tuple[Any, ...]]:
        events = encoding.events(case) if encoding else [[type_] for type_ in case.types]
        steps = tuple(tuple(parts) for parts in events)
        return ((case.category, *steps[:i]) for i in range(1, len(steps) + 1))

    known = {prefix for case in train for prefix in prefixes(case)}
    seen = [prefix in known for case in test for prefix in prefixes(case)]
    if not seen:
        raise ValueError("no test cases, so nothing of them can have been seen in training")
    return sum(seen) / len(seen)


def whole_case_example(case: Case, encoding: Encoding, running: bool = False) -> dict[str, Any]:
    """One example per case: a causal model learns the next event after every prefix in one pass.

    running: the case may go on, so the end of its text is not the end of the case.
    """
    return {
        "case": case.id,
        "prompt": encoding.prompt(case),
        "completion": encoding.text(case),
        "running": running,
    }


def chat_examples(case: Case) -> Iterator[dict[str, Any]]:
    """The prototype's format: one chat per prefix, of event types alone."""
    for i in range(1, len(case.events)):
        yield {
            "messages": [
                {"role": "system", "content": SYSTEM_PROMPT},
                {
                    "role": "user",
                    "content": f"Events: {', '.join(case.types[:i])}\nWhat comes next?",
                },
                {"role": "assistant", "content": case.types[i]},
            ]
        }


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    """Write one JSON object per line; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def write_examples(folder: Path, parts: Split, encoding: Encoding, as_of: int) -> dict[str, int]:
    """Write train, calibration and test .jsonl, the chat format, ``encoding.json``, ``split.json``.

    as_of: the commit position that the cases were read up to; stored, so that later steps read the
        same.
    Returns the number of rows of each .jsonl: train, calibration, test, chat.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = {
        name: write_jsonl(
            folder / f"{name}.jsonl",
            (whole_case_example(case, encoding, case.id in parts.running) for case in cases),
        )
        for name, cases in parts
    }
    chats = (chat for case in parts.train for chat in chat_examples(case))
    counts["chat"] = write_jsonl(folder / "train_chat.jsonl", chats)
    encoding.save(folder / "encoding.json")
    sizes = {"train": len(parts.train), "calibration": len(parts.calibration)}
    (folder / SPLIT).write_text(json.dumps({"as_of": as_of} | sizes) + "\n", "utf-8")
    return counts


def pinned(folder: Path) -> dict[str, int]:
    """What :func:`write_examples` pinned: ``as_of``, and the arguments of :func:`split`.

    So ``split(cases read as of as_of, train, calibration)`` gives the same parts again. Raises
    FileNotFoundError or ValueError, naming the file and the notebook to run first.
    """
    file = folder / SPLIT
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing: run notebook 03_building_examples first")
    try:
        stored = json.loads(file.read_text("utf-8"))
        return {name: int(stored[name]) for name in ("as_of", "train", "calibration")}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} is not what this project writes ({type(error).__name__}: {error}): run "
            "notebook 03_building_examples again"
        ) from error


def data_card(
    parts: Split, as_of: int, source: str, seen: dict[str, float], about: str = ""
) -> str:
    """A page about the data, in Markdown: where it comes from, how it was cut, and what leaks.

    source: kind of KurrentDB. seen: name → share of test prefixes that occur in training.
    about: whose cases these are, in a sentence.
    """
    rows = [
        f"| {name} | {len(cases)} | {sum(len(case.events) for case in cases)} | "
        f"{min(case.events[0].at for case in cases):%Y-%m-%d} | "
        f"{max(case.events[-1].at for case in cases):%Y-%m-%d} |"
        for name, cases in parts
    ]
    shares = [f"- {name}: {share:.1%}" for name, share in seen.items()]
    return "\n".join(
        [
            "# Data card",
            "",
            f"Read from {source} KurrentDB as of commit position {as_of}. {about}".rstrip(),
            "",
            "| part | cases | events | first event | last event |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Cut at {parts.cut:%Y-%m-%d %H:%M} UTC. {len(parts.running)} training cases were "
            "running then; they are learned up to the cut, and how they end is not.",
            "",
            "Share of test prefixes that also occur in training:",
            *shares,
            "",
            "`train_chat.jsonl` holds the training part once more, one chat per prefix, event "
            "types only.",
            "",
        ]
    )


def take(cases: Sequence[Case], count: int) -> list[Case]:
    """``count`` cases spread evenly over ``cases``, in order; all of them if there are fewer."""
    step = max(len(cases) / count, 1)
    return [cases[int(i * step)] for i in range(min(count, len(cases)))]
