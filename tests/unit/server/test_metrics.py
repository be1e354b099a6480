"""OpenMetrics: what is counted, and for whom."""

from __future__ import annotations

import re

from handrail.model.commands import SetStop
from tests.server import Net

LINE = re.compile(r"^[a-z_]+(\{[^}]*\})? [0-9.e+-]+$")
SMALL = {"workflow": "refund", "facts": {"order": "1"}, "proposal": {"amount": 5}}
LARGE = {**SMALL, "proposal": {"amount": 500}}
REFUSED = {**SMALL, "proposal": {"amount": 500_000}}


def figures(text: str) -> dict[str, float]:
    lines = text.splitlines()
    assert lines[-1] == "# EOF"
    found = {}
    for line in lines[:-1]:
        if not line.startswith("# "):
            assert LINE.match(line), line
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def test_decisions_are_counted_once_by_lane(net: Net) -> None:
    writer = net.program(net.token("writer", "decisions:submit"))
    reader = net.program(net.token("scraper", "metrics:read"))
    for body in (SMALL, LARGE, REFUSED):
        for _ in range(2):  # the second time is a repeat, not a decision
            keyed = {**body, "key": str(body["proposal"])}
            assert writer.post("/api/v1/decisions", json=keyed).status_code == 200
    net.send(SetStop(reason="a test"))
    answer = reader.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    found = figures(answer.text)
    for lane in ("pass", "hold", "refuse"):
        assert found[f'handrail_decisions_total{{workflow="refund",lane="{lane}"}}'] == 1
    assert found['handrail_outcomes_total{verdict="passed"}'] == 1
    assert found["handrail_reviews_open"] == 1
    assert found["handrail_reviews_overdue"] == 0
    assert found["handrail_stops"] == 1
    assert found["handrail_log_entries"] == net.workspace.store.read(lambda tx: tx.audit.size())
    submits = 'handrail_http_requests_total{method="POST",operation="Submit",status="200"}'
    assert found[submits] == 6
    assert found['handrail_http_request_seconds_bucket{operation="Submit",le="+Inf"}'] == 6
    assert found['handrail_http_request_seconds_count{operation="Submit"}'] == 6


def test_buckets_only_grow(net: Net) -> None:
    reader = net.program(net.token("scraper", "metrics:read"))
    reader.get("/metrics")
    found = figures(reader.get("/metrics").text)
    row = [value for name, value in found.items() if "_bucket" in name and "Metrics" in name]
    assert row == sorted(row) and row[-1] == 1


def test_numbers_are_for_those_who_may_read_them(net: Net) -> None:
    writer = net.program(net.token("writer", "decisions:submit", "decisions:read"))
    assert writer.get("/metrics").status_code == 403
    assert net.person("eve@example.com").get("/metrics").status_code == 403
    assert net.person("ann@example.com", "role:admin").get("/metrics").status_code == 200
