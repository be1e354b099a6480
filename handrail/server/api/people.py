"""Persons who may decide."""

from handrail.model.commands import ListPeople, SetPerson
from handrail.server.endpoint import endpoints

handlers = endpoints(ListPeople, SetPerson)
