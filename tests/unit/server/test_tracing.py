"""OpenTelemetry through one seam, and a start that loads only what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.server.tracing import stop_tracing
from handrail.settings import Settings
from tests.server import net as serve_net
from tests.workspace import make_workspace

SMALL = {"workflow": "refund", "facts": {"order": "1"}, "proposal": {"amount": 5}}


@pytest.fixture
def spans() -> Iterator[list[object]]:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    before = trace._TRACER_PROVIDER
    trace._TRACER_PROVIDER = provider
    yield exporter.get_finished_spans  # type: ignore[misc]
    trace._TRACER_PROVIDER = before
    stop_tracing()


def test_a_request_and_its_use_case_are_one_trace(tmp_path: Path, spans: object) -> None:
    settings = Settings(traces=True, address_rate=0, credential_rate=0)
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with serve_net(tmp_path / "work", settings) as net:
        http = net.program(net.token("writer", "decisions:submit"), traceparent=caller)
        request_id = http.post("/api/v1/decisions", json=SMALL).headers["x-request-id"]
        http.get("/api/v1/nothing")
    found = {span.name: span for span in spans()}  # type: ignore[operator]
    outer, inner = found["POST Submit"], found["handrail.Submit"]
    assert inner.parent.span_id == outer.context.span_id
    assert f"{outer.context.trace_id:032x}" == caller.split("-")[1]
    assert outer.attributes["handrail.request"] == request_id
    assert outer.attributes["http.response.status_code"] == 200
    assert inner.attributes["handrail.command"] == "Submit"
    assert not any("order" in str(span.attributes) for span in found.values())


def test_without_the_setting_nothing_is_loaded_or_made(tmp_path: Path) -> None:
    """The server as `handrail up` starts it: none of the heavy libraries, and no pydantic."""
    folder = make_workspace(tmp_path / "work")
    code = """
        import json, sys
        from pathlib import Path
        from handrail.app import Paths, Workspace
        from handrail.server.local import serve
        from handrail.server.network import NetworkServer
        Paths(Path(sys.argv[1])).make()
        workspace = Workspace.own(Path(sys.argv[1]), serve=serve)
        server = NetworkServer(workspace.service, port=0)
        server.start()
        from urllib.request import urlopen
        assert urlopen(f"http://127.0.0.1:{server.port}/readyz").status == 200
        server.stop()
        workspace.close()
        print(json.dumps(sorted(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    heavy = {"altair", "authlib", "numpy", "opentelemetry", "pandas", "polars"}
    heavy |= {"psycopg", "pyarrow", "pydantic", "scipy", "sklearn", "vl_convert"}
    heavy |= {"handrail.server.schema", "jinja2", "rich"}  # with the first page that needs them
    assert "litestar" in loaded
    assert not loaded & heavy
