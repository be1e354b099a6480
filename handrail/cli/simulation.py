"""A demo run: samples are submitted, simulated people decide, effects run, everything is counted.

The people are simulated from the true labels, and whoever prints a figure of this has to say so.
They act through the same commands as real ones: registered persons claim, vote and edit. Their
thinking time is drawn at random and passes on a clock that can be put forward.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from handrail.assure.rates import Rate, rate
from handrail.cli.samples import SEED, Sample, Samples
from handrail.client import Client
from handrail.model.commands import (
    CastVote,
    Claim,
    Seated,
    SetPerson,
    Submit,
    SubmitBatch,
    Voted,
)
from handrail.model.errors import Conflict, NotFound, Refused
from handrail.model.modes import Lane, Verdict
from handrail.model.outcome import Outcome, Receipt
from handrail.model.people import Actor
from handrail.model.review import Card
from handrail.model.ruling import Ruling

MEDIAN_SECONDS = 25.0
"""Median of the simulated thinking time; drawn from a log-normal with sigma 0.6."""
BATCH = 100
PATIENCE = 30.0
"""Seconds (real ones) a released outcome may take to arrive."""


class DemoClock:
    """The clock of the demo's workspace: real time that can be put forward."""

    def __init__(self) -> None:
        self._ahead = 0

    def __call__(self) -> int:
        """µs since 1970 UTC, as the workspace sees it."""
        return time.time_ns() // 1000 + self._ahead

    def skip(self, seconds: float) -> None:
        """Let time pass without waiting for it."""
        self._ahead += round(seconds * 1_000_000)


class Tally(msgspec.Struct):
    """What was counted while the demo ran."""

    rulings: dict[str, Ruling] = msgspec.field(default_factory=dict)
    """Sample key → ruling."""
    outcomes: dict[str, Outcome[Any]] = msgspec.field(default_factory=dict)
    receipts: dict[str, Receipt] = msgspec.field(default_factory=dict)
    said: Counter[str] = msgspec.field(default_factory=Counter)
    """Votes on held decisions by people who saw the recommendation."""
    blind: int = 0
    spot_checks: int = 0
    spot_found: int = 0
    """Spot checks in which a person disagreed with what had passed."""
    thinking: list[float] = msgspec.field(default_factory=list)
    """Simulated seconds a vote."""
    waiting: list[float] = msgspec.field(default_factory=list)
    """Simulated seconds from submit to verdict of a held decision."""
    submit_seconds: float = 0.0
    """Real seconds all submits took together."""


class Demo:
    """One run over one set of samples, in a workspace of its own."""

    def __init__(self, client: Client, clock: DemoClock, samples: Samples) -> None:
        self.client = client
        self.clock = clock
        self.samples = samples
        self.tally = Tally()
        self._random = random.Random(SEED)
        self._by_decision: dict[str, Sample] = {}
        self.people = [f"{samples.workflow}-{n}@example.com" for n in (1, 2, 3)]

    def register(self) -> None:
        """Register the simulated reviewers."""
        for place, handle in enumerate(self.people):
            heads = self.samples.heads if place == 0 else ()
            self.client.call(
                SetPerson(handle=handle, holds=(*self.samples.teams, *heads)),
                Actor(name=self.people[0], program=False),
            )

    def submit(self) -> None:
        """Hand in every sample."""
        begun = time.perf_counter()
        samples = self.samples.samples
        for start in range(0, len(samples), BATCH):
            part = samples[start : start + BATCH]
            rows = [
                Submit(
                    workflow=self.samples.workflow,
                    key=sample.key,
                    facts=sample.facts,
                    proposal=sample.proposal,
                    confidence=sample.confidence,
                    model=sample.model,
                    current=sample.current,
                )
                for sample in part
            ]
            for sample, answer in zip(part, self.client.call(SubmitBatch(rows=rows)), strict=True):
                if answer.ruling is None:
                    raise Refused(f"the sample {sample.key} was not taken: {answer.error}")
                self.tally.rulings[sample.key] = answer.ruling
                self._by_decision[answer.ruling.decision_id] = sample
        self.tally.submit_seconds += time.perf_counter() - begun

    def review(self) -> None:
        """The simulated people decide what is open, in turns."""
        idle = 0
        turn = 0
        while idle < len(self.people):
            actor = Actor(name=self.people[turn % len(self.people)], program=False)
            turn += 1
            try:
                seated: Seated = self.client.call(
                    Claim(workflow=self.samples.workflow, lease_seconds=3600.0), actor
                )
            except NotFound:
                idle += 1
                continue
            idle = 0
            self._decide(seated, actor)

    def _decide(self, seated: Seated, actor: Actor) -> None:
        """One vote."""
        card = seated.card
        sample = self._by_decision[card.decision_ids[0]]
        seconds = MEDIAN_SECONDS * math.exp(self._random.gauss(0.0, 0.6))
        self.clock.skip(seconds)
        said, edits = self._says(card, sample)
        vote = CastVote(
            review_id=card.review,
            said=said,
            card=card.digest,
            reason=None if said == "approve" else sample.reason,
            edits=edits,
            token=seated.token,
            seconds=round(seconds, 3),
        )
        try:
            voted: Voted = self.client.call(vote, actor)
        except (Conflict, Refused):
            return  # somebody else was first, or only a head may: it comes round again
        self.tally.thinking.append(seconds)
        if card.kind == "spot_check":
            self.tally.spot_checks += 1
            self.tally.spot_found += said != "approve"
            return
        if card.blind:
            self.tally.blind += 1
        else:
            self.tally.said[said] += 1
        if voted.decided:
            self.tally.waiting.append((self.clock() - card.opened_at) / 1_000_000)

    @staticmethod
    def _says(card: Card, sample: Sample) -> tuple[Any, dict[str, Any]]:
        """What a person who knows the truth says: approve what is right, correct what is not."""
        if sample.truth is None:
            return "reject", {}
        shown = card.proposal
        right = shown is not None and all(
            same(shown.get(name), value) for name, value in sample.truth.items()
        )
        if right and card.mode != "in_command":
            return "approve", {}
        return "edit", {name: sample.truth[name] for name in card.editable if name in sample.truth}

    def finish(self, say: Callable[[str], None] = lambda text: None) -> None:
        """Undo times end; outcomes arrive, effects run once, what is true becomes a label."""
        self.clock.skip(60.0)
        for key, ruling in self.tally.rulings.items():
            if key in self.tally.outcomes:
                continue
            outcome = self.client.wait(ruling, timeout=PATIENCE)
            self.tally.outcomes[key] = outcome
            sample = self._by_decision[ruling.decision_id]
            with self.client.run(outcome) as run:
                if run:
                    say(f"{self.samples.effect} {key}: {run.value} (idempotency key {run.key})")
            if run.receipt is not None:
                self.tally.receipts[key] = run.receipt
            self.client.label(
                outcome,
                truth=sample.truth,
                wrong=not right_in_the_end(outcome, sample),
                source=self.samples.truth_from,
            )

    # ------------------------------------------------------------------------ figures

    def rates(self) -> list[Rate]:
        """Every rate of this run, with its interval."""
        tally = self.tally
        by_key = {sample.key: sample for sample in self.samples.samples}
        total = len(tally.rulings)
        lanes = Counter(ruling.lane for ruling in tally.rulings.values())
        wrong_alone = sum(not proposed_right(by_key[key]) for key in tally.outcomes)
        passed = {k: o for k, o in tally.outcomes.items() if o.verdict is Verdict.PASSED}
        return [
            rate("automated", lanes[Lane.PASS], total),
            rate("intervention", lanes[Lane.HOLD], total),
            *([rate("refused", lanes[Lane.REFUSE], total)] if lanes[Lane.REFUSE] else []),
            rate("error_alone", wrong_alone, len(tally.outcomes)),
            rate(
                "error_automated",
                sum(not right_in_the_end(o, by_key[k]) for k, o in passed.items()),
                len(passed),
            ),
            rate(
                "error_after_review",
                sum(not right_in_the_end(o, by_key[k]) for k, o in tally.outcomes.items()),
                len(tally.outcomes),
            ),
            rate("override", tally.said["edit"] + tally.said["reject"], tally.said.total()),
        ]

    def counts(self) -> dict[str, Any]:
        """Counts and times of this run."""
        tally = self.tally
        return {
            "decisions": len(tally.rulings),
            "held": sum(r.lane is Lane.HOLD for r in tally.rulings.values()),
            "votes": tally.said.total() + tally.blind,
            "votes_blind": tally.blind,
            "approved": tally.said["approve"],
            "edited": tally.said["edit"],
            "rejected": tally.said["reject"],
            "spot_checks": tally.spot_checks,
            "spot_checks_disagreed": tally.spot_found,
            "effects": len(tally.receipts),
            "receipts_done": sum(str(r.state) == "done" for r in tally.receipts.values()),
            "median_seconds_a_vote_simulated": _median(tally.thinking),
            "median_seconds_to_verdict_simulated": _median(tally.waiting),
            "submit_milliseconds_each": round(
                1000 * tally.submit_seconds / max(1, len(tally.rulings)), 3
            ),
        }


def proposed_right(sample: Sample) -> bool:
    """Whether what the machine proposed is what is right."""
    return sample.truth is not None and all(
        same(sample.proposal.get(name), value) for name, value in sample.truth.items()
    )


def right_in_the_end(outcome: Outcome[Any], sample: Sample) -> bool:
    """Whether what came out is right: the right value ran, or nothing where nothing should."""
    if not outcome.allowed:
        return sample.truth is None
    return sample.truth is not None and all(
        same(outcome.value.get(name), value) for name, value in sample.truth.items()
    )


def same(one: Any, other: Any) -> bool:
    """Whether two values are one: numbers by value, whatever form they are stored in."""
    if one is None or other is None or isinstance(one, bool) or isinstance(other, bool):
        return one is other
    try:
        return float(one) == float(other)
    except (TypeError, ValueError):
        return bool(one == other)


def _median(values: list[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None
