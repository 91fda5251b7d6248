"""Tokens and roles: what is not granted is denied, and a secret is kept nowhere."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucle.identity import (
    OWNER,
    PERMISSIONS,
    ROLES,
    BadName,
    BadToken,
    Forbidden,
    Grant,
    Principal,
    TokenExpired,
    UnknownRole,
    UnknownToken,
    authenticate,
    create_token,
    has_tokens,
    list_tokens,
    require,
    revoke_token,
)
from bucle.ledger import Home, Scope

NAMES = st.sampled_from(["flights", "taxis", "*"])
PLACES = st.sampled_from(["dev", "test", "*"])


@pytest.fixture
def home(tmp_path: Path):  # type: ignore[no-untyped-def]
    home = Home.open(tmp_path)
    yield home
    home.close()


def test_a_token_stands_for_its_principal_in_its_role_and_scope(home: Home) -> None:
    issued = create_token(home.ledger, "ana", "data_scientist", "flights", "test", kind="service")
    principal = authenticate(home.ledger, issued.secret)
    assert (principal.name, principal.kind) == ("ana", "service")
    assert principal.grants == (Grant("data_scientist", "flights", "test"),)
    assert require(principal, "pipelines.write", Scope("flights", "test")) == "data_scientist"
    for permission, scope in (
        ("pipelines.write", Scope("flights", "production")),
        ("pipelines.write", Scope("flights")),
        ("pipelines.write", Scope("taxis", "test")),
        ("pipelines.write", Scope()),
        ("delivery.promote", Scope("flights", "test")),
        ("identity.admin", Scope("flights", "test")),
    ):
        with pytest.raises(Forbidden) as refused:
            require(principal, permission, scope)
        assert refused.value.code == "identity/forbidden"


def test_the_secret_has_256_bits_and_is_nowhere_in_the_home(home: Home) -> None:
    issued = create_token(home.ledger, "ana", "viewer")
    assert len(issued.secret.removeprefix("bucle_")) == 43
    assert create_token(home.ledger, "ana", "viewer").secret != issued.secret
    home.close()
    for file in home.path.rglob("*"):
        assert not file.is_file() or issued.secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + "x", lambda s: s.upper(), lambda s: "", lambda s: "\udc80"])
def test_anything_else_is_no_token(home: Home, change) -> None:  # type: ignore[no-untyped-def]
    secret = create_token(home.ledger, "ana", "viewer").secret
    with pytest.raises(BadToken) as refused:
        authenticate(home.ledger, change(secret))
    assert (refused.value.code, refused.value.status) == ("identity/bad-token", 401)


def test_a_token_ends_when_it_expires_or_is_revoked(home: Home) -> None:
    soon = create_token(home.ledger, "ana", "viewer", expires=datetime.now(UTC) + timedelta(hours=1))
    over = create_token(home.ledger, "ana", "viewer", expires=datetime.now(UTC) - timedelta(seconds=1))
    assert authenticate(home.ledger, soon.secret).name == "ana"
    with pytest.raises(TokenExpired) as expired:
        authenticate(home.ledger, over.secret)
    assert expired.value.code == "identity/token-expired"
    revoke_token(home.ledger, soon.id)
    with pytest.raises(BadToken):
        authenticate(home.ledger, soon.secret)
    assert not has_tokens(home.ledger)
    with pytest.raises(UnknownToken) as unknown:
        revoke_token(home.ledger, soon.id)
    assert unknown.value.code == "identity/unknown-token"


def test_when_a_token_was_last_used_is_known(home: Home) -> None:
    issued = create_token(home.ledger, "ana", "viewer")
    assert list_tokens(home.ledger)[0].last_used is None
    authenticate(home.ledger, issued.secret)
    [token] = list_tokens(home.ledger)
    assert token.last_used is not None and token.last_used >= token.created
    before = home.ledger.newest()
    authenticate(home.ledger, issued.secret)
    assert home.ledger.newest() == before


def test_tokens_come_and_go_with_events(home: Home) -> None:
    issued = create_token(home.ledger, "ana", "viewer", "flights")
    revoke_token(home.ledger, issued.id)
    created, revoked = home.ledger.events()
    assert (created.kind, created.subject) == ("identity.token_created", issued.id)
    assert (created.data["name"], created.data["project"]) == ("ana", "flights")
    assert (revoked.kind, revoked.subject) == ("identity.token_revoked", issued.id)


def test_a_role_that_does_not_exist_is_refused_with_those_that_do(home: Home) -> None:
    with pytest.raises(UnknownRole) as refused:
        create_token(home.ledger, "ana", "king")
    assert refused.value.code == "identity/unknown-role"
    assert "quality_assurance" in refused.value.next_step
    assert home.ledger.newest() == 0


@pytest.mark.parametrize("name", ["", "system", "a b", "a\n", "-a", "<b>", "x" * 65, "subscription:x"])
def test_a_name_that_could_be_mistaken_is_refused(home: Home, name: str) -> None:
    with pytest.raises(BadName) as refused:
        create_token(home.ledger, name, "viewer")
    assert refused.value.code == "identity/bad-name"


def test_an_ml_engineer_may_what_the_crafts_may_together() -> None:
    crafts = ("data_scientist", "data_engineer", "software_engineer", "devops_engineer")
    assert set.union(*(set(ROLES[role]) for role in crafts)) <= ROLES["ml_engineer"]


def test_every_permission_is_known_and_somebody_beside_the_owner_works(home: Home) -> None:
    for role, permissions in ROLES.items():
        assert permissions <= PERMISSIONS
        assert role == "owner" or "identity.admin" not in permissions
    assert len(ROLES) == 11
    assert not {permission for permission in ROLES["viewer"] if not permission.endswith(".read")}
    assert ROLES["predictor"] == {"serving.predict", "serving.label"}


def test_the_owner_may_everything_everywhere() -> None:
    for permission in PERMISSIONS:
        assert require(OWNER, permission, Scope("any", "where")) == require(OWNER, permission, Scope()) == "owner"


@given(role=st.sampled_from(sorted(ROLES)), project=NAMES, environment=PLACES, asked=NAMES, place=PLACES)
def test_a_grant_reaches_what_it_names_and_no_further(
    role: str, project: str, environment: str, asked: str, place: str
) -> None:
    scope = Scope("" if asked == "*" else asked, "" if place == "*" else place)
    principal = Principal("prn", "ana", "person", (Grant(role, project, environment),))
    inside = project in ("*", asked) and environment in ("*", place)
    for permission in PERMISSIONS:
        assert (principal.role_for(permission, scope) is not None) == (inside and permission in ROLES[role])
