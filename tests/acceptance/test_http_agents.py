"""Guarded tools inside real agents, with fake models: the schema is kept, a no is said in text,
and a replay runs the effect once.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import handrail
from handrail.client import Client
from handrail.model.commands import ListReviews
from tests.server import Net
from tests.server import net as serve_net
from tests.workspace import ANN, vote

ARGUMENTS = {"order": "o-1", "amount": 500.0}


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Net]:
    with serve_net(tmp_path / "work") as found:
        yield found


@pytest.fixture
def hr(net: Net) -> Iterator[Client]:
    with handrail.connect(net.url, net.token("agent", "decisions:submit")) as client:
        yield client


class Effects(list[tuple[str, float]]):
    """What ran."""


def tools(hr: Client, effects: Effects) -> tuple[Any, Any]:
    """The same guarded tool, sync and async."""

    @hr.guard(
        "refund", key=lambda order, amount: f"refund:{order}", edit=["amount"], on_reject="say"
    )
    def refund(order: str, amount: float) -> str:
        """Pay an order back.

        Args:
            order: Number of the order.
            amount: How much, in USD.
        """
        effects.append((order, amount))
        return f"paid {amount} back for {order}"

    @hr.guard(
        "refund", key=lambda order, amount: f"refund:{order}", edit=["amount"], on_reject="say"
    )
    async def refund_async(order: str, amount: float) -> str:
        """Pay an order back."""
        effects.append((order, amount))
        return f"paid {amount} back for {order}"

    return refund, refund_async


def decide(net: Net, said: str, **more: Any) -> threading.Thread:
    """A person who decides as soon as there is something to decide."""

    def work() -> None:
        owner = handrail.open(net.workspace.paths.folder)
        with owner:
            until = time.monotonic() + 120
            while time.monotonic() < until:
                cards = owner.call(ListReviews(), ANN)
                if cards:
                    ruling = type("R", (), {"review_id": cards[0].review})()
                    vote(owner, ruling, said, **more)  # type: ignore[arg-type]
                    return
                time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_signature_hints_and_docstring_are_kept(hr: Client) -> None:
    plain, waiting = tools(hr, Effects())
    for tool in (plain, waiting):
        assert list(inspect.signature(tool).parameters) == ["order", "amount"]
        assert inspect.get_annotations(tool, eval_str=True)["amount"] is float
        assert tool.__doc__.startswith("Pay an order back")
    assert inspect.iscoroutinefunction(waiting) and not inspect.iscoroutinefunction(plain)


# ------------------------------------------------------------------------------ LangGraph


def graph(tool: Any, calls: list[dict[str, Any]]) -> Any:
    """An agent: a model that calls the tool as scripted, the tool, and the model again."""
    pytest.importorskip("langgraph")
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition

    script = [
        AIMessage(
            "",
            tool_calls=[
                {
                    "name": tool.__name__,
                    "args": arguments,
                    "id": f"call-{number}",
                    "type": "tool_call",
                }
            ],
        )
        for number, arguments in enumerate(calls)
    ]
    model = GenericFakeChatModel(messages=iter([*script, AIMessage("done")]))
    built = StateGraph(MessagesState)
    built.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    built.add_node("tools", ToolNode([tool]))
    built.add_edge(START, "model")
    built.add_conditional_edges("model", tools_condition, {"tools": "tools", "__end__": END})
    built.add_edge("tools", "model")
    return built.compile()


def said(state: dict[str, Any]) -> list[str]:
    """What the tool answered the model."""
    return [str(message.content) for message in state["messages"] if message.type == "tool"]


@pytest.mark.ledger("Z-024")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_langgraph_waits_for_the_person(net: Net, hr: Client, kind: str) -> None:
    effects = Effects()
    tool = tools(hr, effects)[kind == "async"]
    agent = graph(tool, [ARGUMENTS])
    person = decide(net, "approve")
    start = {"messages": [("user", "pay it back")]}
    state = agent.invoke(start) if kind == "sync" else asyncio.run(agent.ainvoke(start))
    person.join()
    assert effects == [("o-1", 500.0)]
    assert said(state) == ["paid 500.0 back for o-1"]


def test_langgraph_is_told_no_in_text(net: Net, hr: Client) -> None:
    effects = Effects()
    agent = graph(tools(hr, effects)[0], [ARGUMENTS])
    person = decide(net, "reject", reason="fraud", comment="not this one")
    state = agent.invoke({"messages": [("user", "pay it back")]})
    person.join()
    assert effects == []
    [answer] = said(state)
    assert "reject" in answer.lower()
    assert state["messages"][-1].content == "done", "the agent goes on"


def test_a_replay_runs_the_effect_once(net: Net, hr: Client) -> None:
    """The framework runs the node again with the same call: one effect, and a plain answer."""
    effects = Effects()
    tool = tools(hr, effects)[0]
    person = decide(net, "approve")
    first = graph(tool, [ARGUMENTS]).invoke({"messages": [("user", "pay it back")]})
    person.join()
    again = graph(tool, [ARGUMENTS, ARGUMENTS])
    try:
        second = again.invoke({"messages": [("user", "pay it back")]})
        assert all("o-1" in text or "already" in text.lower() for text in said(second))
    except handrail.errors.AlreadyRun:
        pass
    assert effects == [("o-1", 500.0)]
    assert said(first) == ["paid 500.0 back for o-1"]


# ------------------------------------------------------------------------------ OpenAI Agents


def scripted(calls: list[dict[str, Any]], name: str) -> Any:
    """A model of the agents SDK that calls the tool as scripted, then ends."""
    pytest.importorskip("agents")
    from agents import Model, ModelResponse, Usage
    from openai.types.responses import (
        ResponseFunctionToolCall,
        ResponseOutputMessage,
        ResponseOutputText,
    )

    class Scripted(Model):
        def __init__(self) -> None:
            self.left = list(calls)

        async def get_response(self, *arguments: Any, **named: Any) -> ModelResponse:
            if self.left:
                output: Any = ResponseFunctionToolCall(
                    type="function_call",
                    name=name,
                    call_id=f"call-{len(self.left)}",
                    arguments=json.dumps(self.left.pop(0)),
                )
            else:
                text = ResponseOutputText(type="output_text", text="done", annotations=[])
                output = ResponseOutputMessage(
                    id="m", type="message", role="assistant", status="completed", content=[text]
                )
            return ModelResponse(output=[output], usage=Usage(), response_id=None)

        def stream_response(self, *arguments: Any, **named: Any) -> Any:
            raise NotImplementedError

    return Scripted()


def run_agent(tool: Any, calls: list[dict[str, Any]]) -> tuple[Any, list[str]]:
    agents = pytest.importorskip("agents")
    agents.set_tracing_disabled(True)
    made = agents.function_tool(tool)
    agent = agents.Agent(name="clerk", tools=[made], model=scripted(calls, made.name))
    result = asyncio.run(agents.Runner.run(agent, "pay it back"))
    answers = [
        str(item.output) for item in result.new_items if item.type == "tool_call_output_item"
    ]
    return made, answers


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_agents_sdk_waits_for_the_person(net: Net, hr: Client, kind: str) -> None:
    effects = Effects()
    tool = tools(hr, effects)[kind == "async"]
    person = decide(net, "edit", edits={"amount": 120}, reason="wrong")
    made, answers = run_agent(tool, [ARGUMENTS])
    person.join()
    assert set(made.params_json_schema["properties"]) == {"order", "amount"}
    assert made.params_json_schema["properties"]["amount"]["type"] == "number"
    assert [(order, float(amount)) for order, amount in effects] == [("o-1", 120.0)]
    assert answers and "120" in answers[0]


def test_the_agents_sdk_is_told_no_in_text(net: Net, hr: Client) -> None:
    effects = Effects()
    person = decide(net, "reject", reason="fraud")
    _, answers = run_agent(tools(hr, effects)[0], [ARGUMENTS])
    person.join()
    assert effects == []
    assert answers and "reject" in answers[0].lower()


def test_the_agents_sdk_replays_once(net: Net, hr: Client) -> None:
    effects = Effects()
    tool = tools(hr, effects)[0]
    person = decide(net, "approve")
    run_agent(tool, [ARGUMENTS, ARGUMENTS, ARGUMENTS])
    person.join()
    assert effects == [("o-1", 500.0)]


def test_a_server_that_is_away_runs_nothing(net: Net, hr: Client) -> None:
    effects = Effects()
    tool = tools(hr, effects)[0]
    net.server.stop()
    with pytest.raises(handrail.errors.Unavailable):
        tool("o-1", 5.0)
    assert effects == []
