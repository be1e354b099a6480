"""OpenMetrics at `/metrics`: how requests go, and how the workspace stands.

Decisions are counted from the log, so that a submit sent twice counts once. Counters begin when the
process starts, as OpenMetrics expects; gauges are asked of the store at each look.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from litestar import Request, Response, get

from handrail.access import allow
from handrail.app import Service
from handrail.audit.entry import decode
from handrail.flow.who import enter
from handrail.model.people import Actor
from handrail.ports import Tallies, Transaction

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the latency histogram, seconds."""
AT_ONCE = 20_000
"""Entries one look folds; what is left is counted at the next."""
COUNTED = {
    "decision.submitted": ("workflow", "lane"),
    "outcome.released": ("verdict",),
    "grant.confirmed": ("state",),
    "vote.cast": ("said",),
}
"""Entry types that are counted, and by which of their fields."""


class Metrics:
    """The counters of one server. Requests are counted on its loop, the log on a worker."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self._lock = threading.Lock()
        self._next: int | None = None
        self._counts: Counter[tuple[str, ...]] = Counter()

    def begin(self) -> None:
        """Count what the log says from now on."""
        self._next = self._service.ports.store.read(lambda tx: tx.audit.size())

    def seen(self, scope: Any, status: int, seconds: float) -> None:
        """A request was answered. Named by its operation: addresses carry ids."""
        operation = str(scope["state"].get("operation") or "other")
        self._requests[scope["method"], operation, status] += 1
        row = self._buckets.setdefault(operation, [0] * (len(BOUNDS) + 1))
        for at, bound in enumerate(BOUNDS):
            if seconds <= bound:
                row[at] += 1
        row[-1] += 1
        self._seconds[operation] = self._seconds.get(operation, 0.0) + seconds

    def text(self, actor: Actor, listeners: int) -> bytes:
        """The exposition, for who may read it."""

        def query(tx: Transaction) -> tuple[Tallies, int]:
            allow(enter(tx, actor, meet=False), "metrics.read")
            self._fold(tx)
            return tx.tallies(), tx.audit.size()

        tallies, size = self._service.ports.store.read(query)
        lines = [
            *self._request_lines(),
            *self._log_lines(),
            *_gauges(
                {
                    "handrail_reviews_open": (tallies.open, "Reviews that wait for people."),
                    "handrail_reviews_overdue": (tallies.overdue, "Open reviews past their time."),
                    "handrail_runs_in_doubt": (tallies.in_doubt, "Runs nobody can vouch for."),
                    "handrail_notices_waiting": (tallies.waiting, "Notices not delivered yet."),
                    "handrail_notices_parked": (tallies.parked, "Notices that were given up."),
                    "handrail_stops": (tallies.stops, "Stop buttons that stand."),
                    "handrail_log_entries": (size, "Entries of the audit log."),
                    "handrail_stream_listeners": (listeners, "Open event streams."),
                    "handrail_only_reads": (
                        int(self._service.only_reads is not None),
                        "1 where the workspace takes no writes.",
                    ),
                }
            ),
            "# EOF",
        ]
        return ("\n".join(lines) + "\n").encode()

    def _fold(self, tx: Transaction) -> None:
        with self._lock:
            start = tx.audit.size() if self._next is None else self._next
            end = min(tx.audit.size(), start + AT_ONCE)
            for raw in tx.audit.entries(start, end) if start < end else ():
                entry = decode(raw)
                labels = COUNTED.get(entry["type"])
                if labels is not None:
                    self._counts[(entry["type"], *(str(entry[name]) for name in labels))] += 1
            self._next = max(start, end)

    def _request_lines(self) -> Iterator[str]:
        name = "handrail_http_requests"
        yield f"# TYPE {name} counter"
        yield f"# HELP {name} Requests by operation and status."
        for (method, operation, status), count in sorted(self._requests.items()):
            labels = _labels(method=method, operation=operation, status=str(status))
            yield f"{name}_total{labels} {count}"
        name = "handrail_http_request_seconds"
        yield f"# TYPE {name} histogram"
        yield f"# UNIT {name} seconds"
        yield f"# HELP {name} From the first byte to the last, waits included."
        for operation, row in sorted(self._buckets.items()):
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), row, strict=True):
                yield f"{name}_bucket{_labels(operation=operation, le=bound)} {count}"
            yield f"{name}_count{_labels(operation=operation)} {row[-1]}"
            yield f"{name}_sum{_labels(operation=operation)} {self._seconds[operation]:.6f}"

    def _log_lines(self) -> Iterator[str]:
        says = {
            "decision.submitted": ("handrail_decisions", "Decisions by lane."),
            "outcome.released": ("handrail_outcomes", "Outcomes by verdict."),
            "grant.confirmed": ("handrail_runs", "Runs that said how they ended."),
            "vote.cast": ("handrail_votes", "Votes by what they said."),
        }
        with self._lock:
            counts = sorted(self._counts.items())
        for kind, (name, text) in says.items():
            yield f"# TYPE {name} counter"
            yield f"# HELP {name} {text}"
            for (found, *values), count in counts:
                if found == kind:
                    labels = dict(zip(COUNTED[kind], values, strict=True))
                    yield f"{name}_total{_labels(**labels)} {count}"


def _gauges(values: Mapping[str, tuple[int, str]]) -> Iterable[str]:
    for name, (value, text) in values.items():
        yield f"# TYPE {name} gauge"
        yield f"# HELP {name} {text}"
        yield f"{name} {value}"


def _labels(**values: str) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in values.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@get("/metrics", name="metrics")
async def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Counters and gauges in the OpenMetrics text format."""
    state = request.app.state
    actor = await state.desk.actor(request)
    request.scope["state"]["operation"] = "Metrics"
    text = await state.desk.work(state.metrics.text, actor, state.stream.listeners)
    return Response(text, media_type=CONTENT_TYPE)
