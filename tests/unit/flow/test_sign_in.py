"""Passwords, invitations, identities, sessions and tokens, and what ends them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from handrail.access import Denied
from handrail.flow import against_state, has_admin, recognise
from handrail.flow.passwords import Passwords
from handrail.flow.secret import hash_of
from handrail.model import commands as c
from handrail.model.errors import (
    BadInput,
    Conflict,
    HandrailError,
    NotFound,
    Refused,
    TooMany,
    Unknown,
)
from handrail.model.people import Actor, Via
from handrail.model.problem import problem_of

from .access import NOBODY, PASSWORD, Office, quick
from .conftest import PROGRAM

OTHER = "four brown bears sleep"


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    made.policy()
    yield made
    made.store.close()


def sign_in(office: Office, handle: str, password: str = PASSWORD, **more: Any) -> c.SignedIn:
    return office.send(  # type: ignore[no-any-return]
        c.SignIn(handle=handle, password=password, **more), NOBODY
    )


# ------------------------------------------------------------------------------ passwords


def test_wrong_unknown_and_paused_are_one_answer_and_one_hash_each(office: Office) -> None:
    """Timing is told by hashes computed: the same number in every case."""
    office.join("ann@example.org", "team:refunds")
    office.join("off@example.org")
    office.send(c.SetPerson(handle="off@example.org", active=False))
    office.send(c.SetPerson(handle="local@example.org"))  # has no password

    def refused(handle: str, password: str) -> tuple[dict[str, Any], int]:
        before = office.ports.passwords.calls
        with pytest.raises(Unknown) as caught:
            sign_in(office, handle, password)
        return problem_of(caught.value), office.ports.passwords.calls - before

    attempts = [
        ("ann@example.org", OTHER),
        ("nobody-here@example.org", PASSWORD),
        ("off@example.org", PASSWORD),
        ("local@example.org", PASSWORD),
        ("ann@example.org", "x" * 100_000),
        ("", ""),
        ("\x00" * 300, PASSWORD),
    ]
    answers = [refused(*attempt) for attempt in attempts]
    for _ in range(5):
        refused("ann@example.org", OTHER)
    answers.append(refused("ann@example.org", PASSWORD))  # right, and paused
    assert [calls for _, calls in answers] == [1] * len(answers)
    assert all(answer == answers[0][0] for answer, _ in answers)
    before = office.ports.passwords.calls
    office.clock.advance(31)
    sign_in(office, " ANN@example.org ")
    assert office.ports.passwords.calls - before == 1


def test_an_account_pauses_longer_each_time_and_is_never_closed(office: Office) -> None:
    office.join("ann@example.org")

    def wrong() -> None:
        with pytest.raises(Unknown):
            sign_in(office, "ann@example.org", OTHER)

    for _ in range(5):
        wrong()
    pauses = []
    for _ in range(8):
        until = office.entries("sign_in.paused")[-1]["until"]
        pauses.append((until - office.clock()) // 1_000_000)
        wrong()  # while it is paused nothing is counted
        assert office.entries("sign_in.paused")[-1]["until"] == until
        with pytest.raises(Unknown):
            sign_in(office, "ann@example.org")
        office.clock.advance(pauses[-1])
        wrong()
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]
    office.clock.advance(900)
    sign_in(office, "ann@example.org")
    wrong()
    assert len(office.entries("sign_in.paused")) == 9, "a right one starts the count anew"
    sign_in(office, "ann@example.org")


def test_a_flood_of_failures_is_told_to_wait_before_any_hash(office: Office) -> None:
    office.join("ann@example.org")
    office.store.write(
        lambda tx: tx.counters.add("*/sign-in", "*", tx.now() - tx.now() % 60_000_000, 300, 0)
    )
    before = office.ports.passwords.calls
    for handle in ("ann@example.org", "nobody@example.org"):
        with pytest.raises(TooMany) as caught:
            sign_in(office, handle)
        assert 1 <= caught.value.retry_after <= 60 and caught.value.status == 429
    assert office.ports.passwords.calls == before
    office.clock.advance(60)
    assert sign_in(office, "ann@example.org").handle == "ann@example.org"


def test_few_hash_at_once_and_few_wait() -> None:
    passwords = Passwords(memory_kib=8, rounds=1, at_once=1, waiting=1)
    stored = passwords.hash(PASSWORD)
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> bool:
        inside.set()
        return go_on.wait(120)

    first = threading.Thread(target=passwords._work, args=(slow,))
    first.start()
    assert inside.wait(120)
    answers: list[bool] = []
    second = threading.Thread(target=lambda: answers.append(passwords.fits(stored, PASSWORD)))
    second.start()
    while passwords._places._value:
        time.sleep(0.001)
    with pytest.raises(TooMany):
        passwords.fits(stored, PASSWORD)
    go_on.set()
    first.join(120)
    second.join(120)
    assert answers == [True]


def test_hashes_are_argon2id_with_the_named_parameters() -> None:
    assert Passwords().hash("x").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not Passwords().fits(None, "x")
    assert not quick().fits("damaged", "x")


@pytest.mark.parametrize("weak", ["short", "aaaaaaaaaaaaaaaa", "Annabella-annabella", "x" * 201])
def test_weak_passwords_are_refused_and_the_link_lives_on(office: Office, weak: str) -> None:
    link = office.send(c.Invite(handle="annabella@example.org"))
    with pytest.raises(BadInput) as caught:
        office.send(c.AcceptInvitation(secret=link.secret, password=weak), NOBODY)
    assert caught.value.pointer == "/password"
    assert weak not in str(caught.value)
    office.send(c.AcceptInvitation(secret=link.secret, password=PASSWORD), NOBODY)


def test_a_changed_password_ends_the_other_sessions(office: Office) -> None:
    here = office.join("ann@example.org")
    there = office.sign_in("ann@example.org")
    with pytest.raises(Refused, match="old password"):
        office.send(c.ChangePassword(old=OTHER, new="five black cats purr"), here)
    office.send(c.ChangePassword(old=PASSWORD, new=OTHER), here)
    assert office.send(c.WhoAmI(), here).name == "ann@example.org"
    with pytest.raises(Unknown, match="sign in again"):
        office.send(c.WhoAmI(), there)
    with pytest.raises(Unknown):
        sign_in(office, "ann@example.org", PASSWORD)
    assert sign_in(office, "ann@example.org", OTHER)
    assert len(office.entries("password.changed")) == 2


# ------------------------------------------------------------------------------ sessions


def test_a_session_ends_by_rest_by_age_and_by_hand(office: Office) -> None:
    office.join("ann@example.org")
    idle = office.sign_in("ann@example.org")
    office.clock.advance(2 * 3600)
    with pytest.raises(Unknown):
        office.send(c.WhoAmI(), idle)
    signed = sign_in(office, "ann@example.org")
    for _ in range(11):
        office.clock.advance(3600)
        used = recognise(signed.secret, office.ports)
        assert office.send(c.WhoAmI(), used).until <= signed.last
    office.clock.advance(3600)
    with pytest.raises(Unknown):
        recognise(signed.secret, office.ports)
    by_hand = sign_in(office, "ann@example.org")
    office.send(c.SignOut(), recognise(by_hand.secret, office.ports))
    with pytest.raises(Unknown):
        recognise(by_hand.secret, office.ports)


def test_signing_in_ends_the_session_before_and_makes_another_secret(office: Office) -> None:
    office.join("ann@example.org")
    first = sign_in(office, "ann@example.org")
    second = sign_in(office, "ann@example.org", session=first.secret)
    assert first.secret != second.secret
    with pytest.raises(Unknown):
        recognise(first.secret, office.ports)
    everywhere = recognise(second.secret, office.ports)
    third = office.sign_in("ann@example.org")
    office.send(c.SignOut(everywhere=True), everywhere)
    for actor in (everywhere, third):
        with pytest.raises(Unknown):
            office.send(c.WhoAmI(), actor)


def test_one_person_keeps_twenty_sessions(office: Office) -> None:
    office.join("ann@example.org")
    secrets = [sign_in(office, "ann@example.org").secret for _ in range(21)]
    with pytest.raises(Unknown):
        recognise(secrets[0], office.ports)
    assert recognise(secrets[1], office.ports)


@pytest.mark.parametrize(
    "change",
    [
        c.SetPerson(handle="ann@example.org", holds=("team:refunds",), active=False),
        c.SetPerson(handle="ann@example.org", holds=("team:refunds", "role:lead")),
        c.SetPerson(handle="ANN@example.org", holds=()),
    ],
)
def test_what_changes_rights_ends_sessions(office: Office, change: c.SetPerson) -> None:
    ann = office.join("ann@example.org", "team:refunds")
    office.send(change)
    with pytest.raises(Unknown):
        office.send(c.WhoAmI(), ann)
    assert office.entries("session.ended")[-1]["sessions"] == 1


def test_limits_change_at_once_and_nobody_is_signed_out(office: Office) -> None:
    ann = office.join("ann@example.org", "team:refunds")
    office.send(
        c.SetPerson(handle="ann@example.org", holds=("team:refunds",), limits={"refund": "150"})
    )
    assert office.send(c.WhoAmI(), ann).limits == {"refund": "150"}
    kept = c.SetPerson(handle="ann@example.org", holds=("team:refunds",))
    assert office.send(kept).limits == {"refund": "150"}
    for wrong in ({"refund": "much"}, {"refund": "-1"}, {"refund": "NaN"}, {"": "1"}):
        with pytest.raises(BadInput):
            office.send(c.SetPerson(handle="ann@example.org", limits=wrong))


def test_a_made_up_credential_names_nobody(office: Office) -> None:
    for secret in ("", "hrs_", "hrt_x", "hrs_" + "a" * 43, "\ud800", "hri_x"):
        with pytest.raises(Unknown):
            recognise(secret, office.ports)
    for via in (Via.SESSION, Via.TOKEN, Via.NOBODY):
        for credential in (None, "x"):
            with pytest.raises(Unknown):
                office.send(c.WhoAmI(), Actor(name="local", via=via, credential=credential))


# ------------------------------------------------------------------------------ invitations


def test_the_first_admin_is_made_once_by_the_owner_alone(office: Office) -> None:
    assert not office.store.read(has_admin)
    old = office.send(c.MakeFirstAdmin())
    link = office.send(c.MakeFirstAdmin())
    with pytest.raises(NotFound):
        office.send(c.AcceptInvitation(secret=old.secret, password=PASSWORD, handle="eve"), NOBODY)
    with pytest.raises(BadInput) as caught:
        office.send(c.AcceptInvitation(secret=link.secret, password=PASSWORD), NOBODY)
    assert caught.value.pointer == "/handle"
    signed = office.send(
        c.AcceptInvitation(secret=link.secret, password=PASSWORD, handle="ann@example.org"),
        NOBODY,
    )
    ann = recognise(signed.secret, office.ports)
    me = office.send(c.WhoAmI(), ann)
    assert me.holds == ("role:admin",) and "people.write" in me.rights
    assert office.store.read(has_admin)
    with pytest.raises(Conflict, match="an admin already"):
        office.send(c.MakeFirstAdmin())
    for actor in (ann, NOBODY):
        with pytest.raises(Refused):
            office.send(c.MakeFirstAdmin(), actor)
    with pytest.raises(NotFound, match="was used"):
        office.send(c.AcceptInvitation(secret=link.secret, password=PASSWORD, handle="eve"), NOBODY)


def test_of_two_links_for_the_first_admin_one_makes_one(office: Office) -> None:
    link = office.send(c.MakeFirstAdmin())
    office.join("ann@example.org", "role:admin")
    with pytest.raises(Conflict, match="an admin already"):
        office.send(c.AcceptInvitation(secret=link.secret, password=PASSWORD, handle="eve"), NOBODY)


def test_an_invitation_gives_what_it_says_once_and_in_time(office: Office) -> None:
    admin = office.join("root@example.org", "role:admin")
    invite = c.Invite(
        handle="bob@example.org", holds=("team:refunds",), limits={"*": "500"}, hours=1
    )
    stale = office.send(invite, admin)
    link = office.send(invite, admin)
    with pytest.raises(NotFound):
        office.send(c.AcceptInvitation(secret=stale.secret, password=PASSWORD), NOBODY)
    with pytest.raises(BadInput, match="somebody else"):
        office.send(c.AcceptInvitation(secret=link.secret, password=PASSWORD, handle="eve"), NOBODY)
    accept = c.AcceptInvitation(secret=link.secret, password=PASSWORD)
    bob = office.send(c.WhoAmI(), recognise(office.send(accept, NOBODY).secret, office.ports))
    assert (bob.holds, bob.limits) == (("team:refunds",), {"*": "500"})
    with pytest.raises(NotFound):
        office.send(accept, NOBODY)
    late = office.send(invite, admin)
    office.clock.advance(3600)
    with pytest.raises(NotFound, match="is over"):
        office.send(c.AcceptInvitation(secret=late.secret, password=PASSWORD), NOBODY)


def test_an_invitation_is_how_a_lost_password_is_replaced(office: Office) -> None:
    old = office.join("bob@example.org", "team:refunds", limits={"*": "500"})
    link = office.send(c.Invite(handle="bob@example.org"))
    signed = office.send(c.AcceptInvitation(secret=link.secret, password=OTHER), NOBODY)
    me = office.send(c.WhoAmI(), recognise(signed.secret, office.ports))
    assert (me.holds, me.limits) == (("team:refunds",), {"*": "500"})
    with pytest.raises(Unknown):
        office.send(c.WhoAmI(), old)
    with pytest.raises(Unknown):
        sign_in(office, "bob@example.org", PASSWORD)


def test_nobody_raises_themselves(office: Office) -> None:
    admin = office.join("root@example.org", "role:admin")
    with pytest.raises(Refused, match="themselves"):
        office.send(c.SetPerson(handle="ROOT@example.org", holds=("role:director",)), admin)
    with pytest.raises(Refused, match="themselves"):
        office.send(c.Invite(handle="root@example.org", holds=("role:director",)), admin)
    assert office.send(c.WhoAmI(), admin).holds == ("role:admin",)


def test_who_is_switched_off_is_not_invited_back(office: Office) -> None:
    office.join("bob@example.org")
    link = office.send(c.Invite(handle="bob@example.org"))
    office.send(c.SetPerson(handle="bob@example.org", active=False))
    with pytest.raises(Conflict, match="switched off"):
        office.send(c.AcceptInvitation(secret=link.secret, password=PASSWORD), NOBODY)
    with pytest.raises(Conflict, match="switched off"):
        office.send(c.Invite(handle="bob@example.org"))


# ------------------------------------------------------------------------------ identities

ISSUER = "https://id.example"


def test_an_identity_is_linked_by_an_invitation_and_by_nothing_it_says(office: Office) -> None:
    office.join("ann@example.org", "team:refunds")
    with pytest.raises(Unknown, match="belongs to nobody"):
        office.send(c.SignInWith(issuer=ISSUER, subject="ann@example.org"))
    link = office.send(c.Invite(handle="ann@example.org"))
    first = c.SignInWith(issuer=ISSUER, subject="00u1", invitation=link.secret)
    signed = office.send(first)
    assert signed.handle == "ann@example.org"
    again = office.send(c.SignInWith(issuer=ISSUER, subject="00u1"))
    assert again.person == signed.person
    for issuer, subject in ((ISSUER + "/", "00u1"), (ISSUER, "00U1"), (ISSUER, "00u1 ")):
        with pytest.raises(Unknown):
            office.send(c.SignInWith(issuer=issuer, subject=subject))
    with pytest.raises(NotFound):
        office.send(c.SignInWith(issuer=ISSUER, subject="00u2", invitation=link.secret))
    for actor in (recognise(signed.secret, office.ports), NOBODY):
        with pytest.raises(Refused):
            office.send(c.SignInWith(issuer=ISSUER, subject="00u1"), actor)
    office.send(c.SetPerson(handle="ann@example.org", active=False))
    with pytest.raises(Unknown, match="switched off"):
        office.send(c.SignInWith(issuer=ISSUER, subject="00u1"))


# ------------------------------------------------------------------------------ tokens


def test_a_token_is_shown_once_and_kept_hashed(office: Office) -> None:
    made = office.send(c.MakeToken(name="bot", scopes=("decisions:submit",), workflows=("refund",)))
    assert made.secret.startswith("hrt_") and len(made.secret) >= 47
    assert made.token.prefix == made.secret[:10]
    (listed,) = office.send(c.ListTokens())
    assert listed == made.token
    stored = office.store.read(lambda tx: tx.access.token_by_hash(hash_of(made.secret)))
    assert stored == made.token
    assert made.secret not in repr(made) + repr(stored)
    bot = recognise(made.secret, office.ports)
    (used,) = office.send(c.ListTokens())
    assert used.last_used_at == office.clock()
    me = office.send(c.WhoAmI(), bot)
    assert (me.name, me.via, me.program, me.workflows) == ("bot", "token", True, ("refund",))


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"name": "ann@example.org"}, "/name"),
        ({"name": "local"}, "/name"),
        ({"name": "p_01kakz"}, "/name"),
        ({"name": " bot"}, "/name"),
        ({"scopes": ()}, "/scopes"),
        ({"scopes": ("decisions:submit", "reviews:decide")}, "/scopes/1"),
        ({"workflows": ()}, "/workflows"),
        ({"days": 0}, "/days"),
    ],
)
def test_tokens_that_cannot_be(office: Office, wrong: dict[str, Any], pointer: str) -> None:
    given: dict[str, Any] = {"name": "bot", "scopes": ("labels:write",), "workflows": ("*",)}
    with pytest.raises(BadInput) as caught:
        office.send(c.MakeToken(**(given | wrong)))
    assert caught.value.pointer == pointer


def test_two_tokens_of_one_name_are_two_keys_of_one_program(office: Office) -> None:
    old, new = (office.token("bot", "decisions:submit") for _ in range(2))
    facts = {"order": "o1", "kind": "goods"}
    submit = c.Submit(workflow="refund", facts=facts, proposal={"amount": 1}, key="k")
    ruling = office.send(submit, old)
    office.send(c.RevokeToken(token_id=old.credential or ""))
    assert office.send(submit, new) == ruling
    with pytest.raises(Unknown, match="revoked"):
        office.send(submit, old)


# ------------------------------------------------------------------------------ the log


@pytest.mark.ledger("A-108")
def test_a_refusal_is_in_the_log_and_does_not_fill_it(office: Office) -> None:
    ann = office.join("ann@example.org")
    bot = office.token("bot", "labels:write")
    for _ in range(20):
        with pytest.raises(Refused):
            office.send(c.ListPeople(), ann)
    with pytest.raises(Refused):
        office.send(c.SetStop(reason="no"), bot)
    row = c.Submit(workflow="refund", facts={"order": "1", "kind": "goods"})
    assert office.send(c.SubmitBatch(rows=[row]), bot)[0].error["status"] == 403
    entries = office.entries("access.refused")
    assert [entry["command"] for entry in entries] == ["ListPeople"] * 5 + [
        "SetStop",
        "SubmitBatch",
    ]
    assert {entry["actor"] for entry in entries} == {office.send(c.WhoAmI(), ann).person, "bot"}
    assert entries[-1]["token"] == bot.credential
    office.clock.advance(60)
    with pytest.raises(Refused):
        office.send(c.ListPeople(), ann)
    assert len(office.entries("access.refused")) == 8


def test_the_log_names_no_handle_and_holds_no_secret(office: Office) -> None:
    link = office.send(c.MakeFirstAdmin())
    accept = c.AcceptInvitation(secret=link.secret, password=PASSWORD, handle="ann@example.org")
    signed = office.send(accept, NOBODY)
    ann = recognise(signed.secret, office.ports)
    invited = office.send(c.Invite(handle="bob@example.org", holds=("team:refunds",)), ann)
    office.send(c.SignInWith(issuer=ISSUER, subject="00u1", invitation=invited.secret))
    made = office.send(c.MakeToken(name="bot", scopes=("labels:write",), workflows=("*",)), ann)
    office.send(c.RevokeToken(token_id=made.token.id), ann)
    office.send(c.ChangePassword(old=PASSWORD, new=OTHER), ann)
    office.send(c.SetPerson(handle="bob@example.org", active=False), ann)
    office.send(c.SignOut(), ann)
    office.store.settle_log()
    raw = office.store.read(lambda tx: b"\n".join(tx.audit.entries())).decode()
    said = {
        "person.invited",
        "invitation.accepted",
        "session.started",
        "identity.linked",
        "token.made",
        "token.revoked",
        "password.changed",
        "person.changed",
        "session.ended",
    }
    assert said <= {entry["type"] for entry in office.entries()}
    for secret in (link.secret, signed.secret, invited.secret, made.secret):
        assert secret not in raw and hash_of(secret) not in raw and secret[4:14] not in raw
    for word in ("ann@", "example", PASSWORD, OTHER, "argon2", "00u1"):
        assert word not in raw
    assert against_state(office.ports) == []


def test_commands_with_secrets_do_not_show_them() -> None:
    for command in (
        c.SignIn(handle="ann", password=PASSWORD, session="hrs_x"),
        c.AcceptInvitation(secret="hri_x", password=PASSWORD),
        c.ChangePassword(old=PASSWORD, new=PASSWORD),
        c.SignInWith(issuer=ISSUER, subject="1", invitation="hri_x"),
        c.FollowLink(secret="hrl_x"),
    ):
        assert repr(command) == f"{type(command).__name__}(…)"


def test_local_persons_have_no_session_to_end(office: Office) -> None:
    ann = Actor(name="ann@example.org", program=False)
    for command in (c.SignOut(), c.ChangePassword(old=PASSWORD, new=OTHER)):
        for actor in (ann, PROGRAM):
            with pytest.raises(Refused):
                office.send(command, actor)
    assert office.send(c.WhoAmI(), ann).via == "local"


# ------------------------------------------------------------------------------ links of a machine


def test_a_link_of_this_machine_signs_in_once_and_does_what_a_terminal_does(office: Office) -> None:
    link = office.send(c.MakeLink(handle="ann@example.org"))
    signed = office.send(c.FollowLink(secret=link.secret))
    ann = recognise(signed.secret, office.ports)
    here = office.send(c.WhoAmI(), Actor(name="ann@example.org", program=False))
    me = office.send(c.WhoAmI(), ann)
    assert set(me.rights) >= set(here.rights) - {"vouch"}
    assert "vouch" not in me.rights, "a browser makes no further links"
    with pytest.raises(NotFound, match="was used"):
        office.send(c.FollowLink(secret=link.secret))
    assert office.send(c.SetStop(workflow="*", reason="looks odd"), ann).by == ann.name


def test_where_nobody_is_registered_only_a_link_makes_the_one_person(office: Office) -> None:
    ruling = office.submit(250)
    review = ruling.review_id or ""
    stranger = office.join("guest@example.org")
    link = office.send(c.MakeLink(handle="ann@example.org"))
    ann = recognise(office.send(c.FollowLink(secret=link.secret)).secret, office.ports)
    with pytest.raises(HandrailError):
        office.send(c.GetReview(review_id=review), stranger)
    card = office.send(c.GetReview(review_id=review), ann)
    voted = office.send(c.CastVote(review_id=review, said="approve", card=card.digest), ann)
    assert voted.decided
    # From the first registered person on, a link gives no part in a review.
    office.send(c.SetPerson(handle="rita@example.org", holds=("team:refunds",)))
    other = office.submit(260).review_id or ""
    with pytest.raises(Denied):
        office.send(c.CastVote(review_id=other, said="approve", card="card:old"), ann)


def test_only_the_workspaces_owner_makes_and_follows_links(office: Office) -> None:
    admin = office.join("admin@example.org", "role:admin")
    token = office.token("shop", "decisions:submit")
    link = office.send(c.MakeLink(handle="ann@example.org"))
    for actor in (admin, token):
        with pytest.raises(Denied):
            office.send(c.MakeLink(handle="admin@example.org"), actor)
        with pytest.raises(Denied):
            office.send(c.FollowLink(secret=link.secret), actor)
    with pytest.raises(Unknown):
        office.send(c.FollowLink(secret=link.secret), NOBODY)
    # A link is no invitation, and an invitation no link.
    with pytest.raises(NotFound, match="invitation"):
        office.send(c.AcceptInvitation(secret=link.secret, password=PASSWORD), NOBODY)
    invited = office.send(c.Invite(handle="bob@example.org"))
    with pytest.raises(NotFound, match="link"):
        office.send(c.FollowLink(secret=invited.secret))
    assert recognise(office.send(c.FollowLink(secret=link.secret)).secret, office.ports)


def test_a_link_ends(office: Office) -> None:
    link = office.send(c.MakeLink(handle="ann@example.org", hours=1))
    office.clock.advance(3601)
    with pytest.raises(NotFound, match="is over"):
        office.send(c.FollowLink(secret=link.secret))
    office.send(c.SetPerson(handle="ann@example.org", active=False))
    with pytest.raises(Conflict, match="switched off"):
        office.send(c.MakeLink(handle="ann@example.org"))
