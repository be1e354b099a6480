"""Nouns where programs put them: FastAPI signatures, notebooks, pickles. Real packages."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import handrail
from handrail import Outcome, Ruling
from handrail.model import commands as c
from handrail.model.noun import Noun
from tests.server import Net
from tests.server import net as serve_net
from tests.workspace import make_workspace

SMALL: dict[str, Any] = {"facts": {"order": "1"}, "proposal": {"amount": 5}}


@pytest.fixture
def net(tmp_path: Path) -> Any:
    with serve_net(tmp_path / "work") as found:
        yield found


def all_nouns() -> list[type[Noun]]:
    def below(kind: type[Any]) -> Any:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    assert c.ROUTES
    return [one for one in below(Noun) if one.__module__.startswith("handrail.")]


def test_every_noun_can_do_what_is_promised(net: Net) -> None:
    with handrail.connect(net.url, net.token("a", "decisions:submit", "decisions:read")) as hr:
        ruling = hr.submit("refund", **SMALL)
        outcome = hr.wait(ruling, timeout=120)
        with hr.run(outcome) as run:
            assert run
        [view] = hr.decisions()
    for noun in (ruling, outcome, view, view.grant):
        assert isinstance(noun, Noun)
        plain = json.loads(json.dumps(noun.to_dict()))
        assert msgspec.convert(plain, type(noun)) == noun
        assert pickle.loads(pickle.dumps(noun)) == noun
        assert "<table" in noun._repr_html_()
        with pytest.raises(AttributeError):
            noun.x = 1  # type: ignore[attr-defined]


def test_text_of_others_is_no_markup_in_a_notebook(net: Net) -> None:
    with handrail.connect(net.url, net.token("a", "decisions:submit")) as hr:
        ruling = hr.submit(
            "refund", facts={"order": "<script>", "note": "<b>"}, proposal={"amount": 500}
        )
        view = hr.call(c.GetDecision(decision_id=ruling.decision_id), hr_actor())
    assert "<script>" not in view._repr_html_() and "<b>" not in view._repr_html_()


def hr_actor() -> Any:
    from handrail.app import LOCAL

    return LOCAL


def test_nouns_stand_in_fastapi_signatures(net: Net) -> None:
    fastapi = pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    app = fastapi.FastAPI()
    hr = handrail.connect(net.url, net.token("shop", "decisions:submit"))

    @app.post("/refunds")
    def refund(order: str, amount: float) -> Ruling:
        return hr.submit("refund", facts={"order": order}, proposal={"amount": amount})

    @app.get("/refunds/{decision_id}")
    async def look(decision_id: str) -> Outcome[dict[str, Any]] | None:
        return await hr.aio.wait(decision_id, timeout=120)

    @app.post("/hooks")
    def hook(outcome: Outcome[Any], rulings: list[Ruling]) -> list[Ruling]:
        assert isinstance(outcome, Outcome) and all(isinstance(one, Ruling) for one in rulings)
        return rulings

    with TestClient(app) as http, hr:
        ruling = http.post("/refunds", params={"order": "1", "amount": 5}).json()
        assert ruling["lane"] == "pass"
        outcome = http.get(f"/refunds/{ruling['decision_id']}").json()
        assert outcome["verdict"] == "passed" and outcome["allowed"] is True
        body = {"outcome": outcome, "rulings": [ruling]}
        assert http.post("/hooks", json=body).json() == [ruling]
        wrong = {**body, "outcome": {**outcome, "verdict": "surely"}}
        refused = http.post("/hooks", json=wrong)
        assert refused.status_code == 422 and "surely" in refused.text
        document = http.get("/openapi.json").json()
        answer = document["paths"]["/refunds"]["post"]["responses"]["200"]
        shown = answer["content"]["application/json"]["schema"]
        if "$ref" in shown:
            shown = document["components"]["schemas"][shown["$ref"].rpartition("/")[2]]
        assert {"decision_id", "lane", "fired"} <= set(shown["properties"])


def test_every_noun_has_a_schema_pydantic_takes() -> None:
    pydantic = pytest.importorskip("pydantic")
    for noun in all_nouns():
        adapter = pydantic.TypeAdapter(noun)
        assert adapter.json_schema()["type"] == "object"
        with pytest.raises(pydantic.ValidationError):
            adapter.validate_python("nothing of the kind")
    mode = "import handrail.model.commands, sys; assert 'pydantic' not in sys.modules"
    subprocess.run([sys.executable, "-c", mode], check=True)


@pytest.mark.slow
def test_a_notebook_shows_what_happened(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    folder = make_workspace(tmp_path / "work")
    cells = [
        f"import handrail\nhr = handrail.open({str(folder)!r})",
        'ruling = hr.submit("refund", facts={"order": "1"}, proposal={"amount": 500})\nruling',
        'hr.submit("refund", facts={"order": "2"}, proposal={"amount": 5})\nhr.decisions()[0]',
        "outcome = await hr.aio.wait(hr.decisions()[0].ruling, timeout=120)\noutcome",
        "hr.close()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    with kernel(client):
        client.execute()
    shown = [
        output["data"]["text/html"]
        for cell in notebook.cells
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert len(shown) == 3
    assert "over the approved 100 USD" in shown[0]
    assert "passed" in shown[2]


def kernel(client: Any) -> Any:
    """Let the notebook run in this very interpreter, whatever kernels the machine knows."""
    import contextlib

    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    class Here(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            return KernelSpec(
                argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                display_name="here",
                language="python",
            )

    client.km = client.create_kernel_manager()
    client.km.kernel_spec_manager = Here()
    return contextlib.nullcontext()


def test_the_base_brings_no_field() -> None:
    assert msgspec.structs.fields(Noun) == ()


def test_observations_over_http_awaited_or_not(net: Net) -> None:
    rows = [{"id": n, "at": f"2026-01-01T00:00:0{n}Z", "spend": 1.5 * n} for n in range(5)]
    with handrail.connect(net.url, net.token("feed", "events:record")) as hr:
        first = hr.record("ads", rows, key="id")
        again = asyncio.run(hr.aio.record("ads", [*rows, {"id": 9, "at": "x"}], key="id",
                                          on_bad="skip"))  # fmt: skip
    assert (first.recorded, first.read_by) == (5, ())
    assert (again.repeated, again.bad) == (5, 1)
    assert isinstance(again, Noun) and "<table" in again._repr_html_()
    plain = json.loads(json.dumps(again.to_dict()))
    assert msgspec.convert(plain, type(again)) == again
