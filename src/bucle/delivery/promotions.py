"""Promotions: the only way into an environment. Evidence first (L-02), then agreement as the policy wants, then the move."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from bucle.delivery import store
from bucle.delivery.errors import NotPending, OwnApproval, UnknownPromotion
from bucle.delivery.events import Promoted, PromotionApproved, PromotionRefused, PromotionRequested
from bucle.delivery.policies import Policy, stricter
from bucle.identity import Principal, require
from bucle.ledger import Ledger, Scope, Transaction, because, new_id, within

State = Literal["pending", "rolling out", "done", "refused", "rolled back"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """Something on its way into an environment: a release ("release:COMMIT") or a model version ("delay@7").

    `authors`, those who asked for it among them, may not approve it.
    `evidence` are the seqs of the events that it rests on: they become causes of the move.
    """

    id: str
    project: str
    environment: str
    kind: str
    target: str
    model: str
    version: int | None
    policy: Policy
    state: str
    requester: str
    authors: tuple[str, ...]
    approver: str | None
    note: str
    evidence: tuple[int, ...]
    created: datetime
    decided: datetime | None
    event: int

    @property
    def scope(self) -> Scope:
        """Where it goes."""
        return Scope(self.project, self.environment)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be promoted, and what it rests on; `release` is the release that is moved or whose services answer."""

    kind: Literal["release", "model"]
    target: str
    release: str
    authors: tuple[str, ...]
    evidence: tuple[int, ...]
    model: str = ""
    version: int | None = None


def request_promotion(
    transaction: Transaction, scope: Scope, subject: Subject, policy: Policy, principal: Principal
) -> Promotion:
    """Enter a promotion that waits. Whether it may be is checked before.

    The same one that waits already is returned; who asks for it again has asked for it too, and the stricter policy counts.
    """
    same = store.same_promotion(transaction, scope.project, scope.environment, subject.target)
    if same is not None:
        return _ask_too(transaction, same, policy, principal)
    id = new_id("promo")
    authors = tuple(dict.fromkeys((*subject.authors, principal.name)))
    with within(scope), because(*subject.evidence):
        event = transaction.emit(PromotionRequested(subject.target, policy, authors), id)
    promotion = Promotion(
        id=id,
        project=scope.project,
        environment=scope.environment,
        kind=subject.kind,
        target=subject.target,
        model=subject.model,
        version=subject.version,
        policy=policy,
        state="pending",
        requester=principal.name,
        authors=authors,
        approver=None,
        note="",
        evidence=subject.evidence,
        created=transaction.clock.now(),
        decided=None,
        event=event,
    )
    store.insert_promotion(transaction, promotion)
    return promotion


def _ask_too(transaction: Transaction, same: Promotion, policy: Policy, principal: Principal) -> Promotion:
    authors = tuple(dict.fromkeys((*same.authors, principal.name)))
    asked = replace(same, policy=stricter(same.policy, policy), authors=authors)
    if asked != same:
        with within(same.scope), because(same.event):
            transaction.emit(PromotionRequested(same.target, asked.policy, authors), same.id)
        store.ask_too(transaction, asked)
    return asked


def approve_promotion(transaction: Transaction, promotion: Promotion, principal: Principal, note: str) -> int:
    """Record that a principal agrees; return the event's seq. Raises `delivery/own-approval`, `identity/forbidden`."""
    may_approve(promotion, principal)
    with within(promotion.scope), because(promotion.event):
        return transaction.emit(PromotionApproved(promotion.target, note), promotion.id)


def may_approve(promotion: Promotion, principal: Principal) -> None:
    """Check that a principal may agree: may decide there, and is neither an author nor anybody who asked.

    Raises `delivery/own-approval`, `identity/forbidden`.
    """
    _may_decide(promotion, principal)
    if is_author(principal.name, promotion.authors):
        raise OwnApproval(name=principal.name, id=promotion.id)


def _may_decide(promotion: Promotion, principal: Principal) -> None:
    """One rule for yes and no: "reviewed" is for anybody who may write code or approve, "approved" for who may approve."""
    if promotion.policy == "reviewed" and principal.role_for("delivery.approve", promotion.scope) is None:
        require(principal, "delivery.write", promotion.scope)
    else:
        require(principal, "delivery.approve", promotion.scope)


def refuse_promotion(transaction: Transaction, promotion: Promotion, principal: Principal, reason: str) -> None:
    """Say no: who may decide, and who asked first. Raises `delivery/not-pending`, `identity/forbidden`."""
    if principal.name != promotion.requester:
        _may_decide(promotion, principal)
    _decide(transaction, promotion, "refused", principal.name, reason)
    with within(promotion.scope), because(promotion.event):
        transaction.emit(PromotionRefused(promotion.target, reason), promotion.id)


def complete_promotion(
    transaction: Transaction, promotion: Promotion, services: Sequence[str], approver: str | None, note: str
) -> Promotion:
    """Record that a promotion was carried out. Raises `delivery/not-pending`."""
    decided = _decide(transaction, promotion, "done", approver, note)
    with within(promotion.scope):
        transaction.emit(Promoted(promotion.target, promotion.id, promotion.policy, tuple(services)), promotion.target)
    return decided


def begin_rolling_out(transaction: Transaction, promotion: Promotion, approver: str | None, note: str) -> Promotion:
    """Record that a promotion was agreed to and is carried out step by step. Raises `delivery/not-pending`."""
    return _decide(transaction, promotion, "rolling out", approver, note)


def finish_promotion(transaction: Transaction, id: str, state: State, services: Sequence[str] = ()) -> None:
    """Record how a promotion that was rolled out ended: "done", with what answers by it now, or "rolled back"."""
    if not store.finish_promotion(transaction, id, state) or state != "done":
        return
    promotion = store.select_promotion(transaction, id)
    if promotion is not None:
        transaction.emit(Promoted(promotion.target, id, promotion.policy, tuple(services)), promotion.target)


def get_promotion(ledger: Ledger, project: str, id: str) -> Promotion:
    """Return a promotion of the project. Raises `delivery/unknown-promotion`."""
    with ledger.read() as reader:
        found = store.select_promotion(reader, id)
    if found is None or found.project != project:
        raise UnknownPromotion(id=id)
    return found


def list_promotions(ledger: Ledger, project: str, state: str | None = None, limit: int = 50) -> list[Promotion]:
    """Return the project's promotions, the newest first."""
    with ledger.read() as reader:
        return store.select_promotions(reader, project, state, limit)


def must_be_pending(promotion: Promotion) -> None:
    """Raise `delivery/not-pending` unless the promotion waits."""
    if promotion.state != "pending":
        raise NotPending(id=promotion.id, state=promotion.state)


def is_author(name: str, authors: Sequence[str]) -> bool:
    """Return whether a principal is one of the authors: by name, or by the name or address that git recorded."""
    own = name.casefold()
    return any(own in _names(author.casefold()) for author in authors)


def _names(author: str) -> set[str]:
    """ "Ana Díaz <ana@example.org>" is Ana Díaz, ana@example.org and ana."""
    name, _, rest = author.partition(" <")
    address = rest.removesuffix(">")
    return {name.strip(), address, address.partition("@")[0]} - {""}


def _decide(transaction: Transaction, promotion: Promotion, state: State, approver: str | None, note: str) -> Promotion:
    if not store.decide_promotion(transaction, promotion.id, state, approver, note):
        found = store.select_promotion(transaction, promotion.id)
        raise NotPending(id=promotion.id, state=found.state if found else "gone")
    return replace(promotion, state=state, approver=approver, note=note, decided=transaction.clock.now())
