"""The SDK: requests as values, two thin transports (in process, HTTP)."""

from handrail.client.batch import BadRow, Rulings
from handrail.client.client import Client, Ref
from handrail.client.guard import Guard
from handrail.client.runs import Run
from handrail.client.transport import Transport

__all__ = ["BadRow", "Client", "Guard", "Ref", "Rulings", "Run", "Transport"]
