"""S-03, undeclared consumers: who asks a service, labels it or reads its predictions without being declared.

A consumer that nobody knows of ties the model down: it breaks, or feeds back, when the model changes (Sculley et al., section
2, "visibility debt").
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bucle.audit.debts import DebtFinding, DebtRow, unknown
from bucle.audit.live import Live, description_at
from bucle.delivery import get_release, release_history
from bucle.ledger import Ledger, Reader, format_instant, from_us, to_us
from bucle.messages import Phrase
from bucle.project import DefinitionRecord, ProjectDescription
from bucle.serving import ServiceSpec, Use, uses_since

ID = "S-03"
LOOKED_AT = timedelta(days=30)
"""How far back somebody's use counts, by the home's clock."""

STALE = timedelta(days=90)
"""After how long a declared consumer that was never seen is stale."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything that one name did with one service."""

    name: str
    asked: int
    requests: int
    labels: int
    read: int
    clients: tuple[str, ...]
    events: tuple[int, ...]


def audit_consumers(ledger: Ledger, live: Live) -> DebtRow:
    """Compare who used the environment's services in the last 30 days with whom their definitions name."""
    if live.description is None:
        return unknown(ID, "no_release", environment=live.scope.environment)
    services = [each for each in live.description.of("service") if _deployed(live, each.name)]
    if not services:
        return unknown(ID, "no_service", environment=live.scope.environment)
    findings: list[DebtFinding] = []
    seen: dict[str, list[_Seen]] = {}
    since_us = live.now_us - LOOKED_AT // timedelta(microseconds=1)
    with ledger.read() as reader:
        earlier = _declared_before(ledger, reader, live)
        for record in services:
            declared = _spec(record).consumers
            seen[record.name] = _seen(uses_since(reader, live.scope, record.name, since_us))
            findings += [_undeclared(record, each) for each in seen[record.name] if each.name not in (declared or ())]
            findings += _stale(ledger, reader, live, record, earlier.get(record.name, ()))
    return _row(live, services, seen, findings)


def _deployed(live: Live, service: str) -> bool:
    return any(each.service == service for each in live.deployments)


def _spec(record: DefinitionRecord) -> ServiceSpec:
    return ProjectDescription("", [record], "").specs("service", ServiceSpec)[0]


def _seen(uses: Sequence[Use]) -> list[_Seen]:
    """Put together by name what was done in several ways, those who did most first."""
    names = dict.fromkeys(each.name for each in uses)
    found = [_together(name, [each for each in uses if each.name == name]) for name in names]
    return sorted(found, key=lambda each: (-each.asked - each.read - each.labels, each.name))


def _together(name: str, uses: Sequence[Use]) -> _Seen:
    def count(use: str) -> int:
        return sum(each.predictions for each in uses if each.use == use)

    clients = tuple(sorted({each.client for each in uses if each.client}))
    requests = sum(each.requests for each in uses if each.use == "asks")
    return _Seen(name, count("asks"), requests, count("labels"), count("reads"), clients, _events(uses))


def _events(uses: Iterable[Use]) -> tuple[int, ...]:
    return tuple(sorted({each.event for each in uses}))


def _undeclared(record: DefinitionRecord, seen: _Seen) -> DebtFinding:
    numbers = {"predictions": seen.asked, "requests": seen.requests, "labels": seen.labels, "predictions_read": seen.read}
    fields: dict[str, str | int | float] = {"name": seen.name, "service": record.name, "days": LOOKED_AT.days, **numbers}
    kind = "undeclared" if _spec(record).consumers is not None else "none_declared"
    return DebtFinding(
        Phrase(f"debt.{ID}.{kind}", fields),
        Phrase(f"debt.{ID}.declare", {"name": seen.name}),
        record.where,
        seen.events,
        seen.clients,
        numbers,
    )


def _stale(
    ledger: Ledger, reader: Reader, live: Live, record: DefinitionRecord, earlier: Sequence[str]
) -> Iterable[DebtFinding]:
    """Those whom the definition names now and named 90 days ago, and who did nothing since."""
    waiting = [name for name in _spec(record).consumers or () if name in earlier]
    if not waiting:
        return
    active = {each.name for each in uses_since(reader, live.scope, record.name, live.now_us - STALE // _US)}
    before = {each.name: each for each in _seen(uses_since(reader, live.scope, record.name, 0))}
    for name in waiting:
        if name in active:
            continue
        last = before.get(name)
        when = format_instant(ledger.event(max(last.events)).as_of) if last else None
        fields: dict[str, str | int | float] = {"name": name, "service": record.name, "days": STALE.days, "last": when or ""}
        yield DebtFinding(
            Phrase(f"debt.{ID}.{'stale' if when else 'never'}", fields),
            Phrase(f"debt.{ID}.remove", {"name": name}),
            record.where,
            last.events if last else (),
        )


def _declared_before(ledger: Ledger, reader: Reader, live: Live) -> Mapping[str, tuple[str, ...]]:
    """Return by service whom the release named that the environment ran 90 days ago."""
    moment = from_us(live.now_us - STALE // _US)
    then = next((each for each in release_history(ledger, live.scope, 10_000) if each.since <= moment), None)
    commit = get_release(reader, live.scope.project, then.release).commit if then else None
    description = description_at(reader, live.scope.project, commit)
    specs = description.specs("service", ServiceSpec) if description else []
    return {spec.name: spec.consumers or () for spec in specs}


def _row(
    live: Live, services: Sequence[DefinitionRecord], seen: Mapping[str, Sequence[_Seen]], findings: Sequence[DebtFinding]
) -> DebtRow:
    everyone = [each for names in seen.values() for each in names]
    first = min(to_us(each.as_of) for each in live.deployments)
    days = min(LOOKED_AT, timedelta(microseconds=live.now_us - first)) / timedelta(days=1)
    stale = sum("last" in each.what.fields for each in findings)
    numbers = {
        "days": LOOKED_AT.days,
        "days_covered": round(days, 2),
        "services": len(services),
        "consumers": len({each.name for each in everyone}),
        "undeclared": len(findings) - stale,
        "stale": stale,
        "predictions": sum(each.asked for each in everyone),
        "predictions_read": sum(each.read for each in everyone),
        "labels": sum(each.labels for each in everyone),
    }
    if findings:
        return DebtRow(ID, "found", Phrase(f"debt.{ID}.found", dict(numbers)), numbers, tuple(findings))
    if not everyone:
        return DebtRow(ID, "insufficient data", Phrase(f"debt.{ID}.unused", dict(numbers)), numbers)
    events = tuple(sorted({seq for each in everyone for seq in each.events}))
    return DebtRow(ID, "clean", Phrase(f"debt.{ID}.clean", dict(numbers)), numbers, (), events)


_US = timedelta(microseconds=1)
