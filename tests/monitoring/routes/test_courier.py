"""The courier: what waits survives, what fails is tried again, what is hopeless is said, and no route waits for another."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests import live
from tests.monitoring.routes import receivers

from bucle.identity import create_token
from bucle.ledger import Dispatcher, EventFilter, Home, Scope, acting
from bucle.messages import Phrase
from bucle.monitoring import LAPTOP, Courier, RouteFailed, UnknownRoute, acknowledge, list_deliveries, resolve, route_states
from bucle.monitoring.alerts import Alert, Finding, fire
from bucle.project import AlertRoute, load_project_file, register_project

SCOPE = Scope("flights", "dev")
ENDED = ("monitoring.alert_delivered", "monitoring.alert_delivery_failed")


def fired(home: Home, feature: str = "wind") -> Alert:
    with home.ledger.write() as tx:
        said = Phrase("alert.nonfinite", {"count": 3})
        alert = fire(tx, SCOPE, "delay", "dep_1", "delay", Finding("drift", feature, said, {"distance": 1.0}))
    assert alert is not None
    return alert


@dataclass
class Post:
    """A home whose alerts go by `routes`."""

    home: Home
    routes: dict[str, AlertRoute] = field(default_factory=dict)

    @contextmanager
    def courier(self, *waits: float) -> Iterator[Courier]:
        """Run a courier and hand out what waits for it."""
        made = Courier(self.home.ledger, lambda scope: self.routes, lambda: LAPTOP, lambda: "http://here", waits or (0.05,) * 9)
        self.dispatch(made)
        made.start()
        try:
            yield made
        finally:
            made.stop()

    def dispatch(self, courier: Courier) -> None:
        Dispatcher(self.home.ledger, [courier.subscription()]).drain()

    def ended(self, count: int) -> list[tuple[str, str, int]]:
        """Return kind, route and attempts of what has ended, once that are `count`."""
        for _ in range(600):
            events = self.home.ledger.events(EventFilter(kinds=ENDED))
            if len(events) >= count:
                return [(event.kind.removeprefix("monitoring.alert_"), *_route(event.data)) for event in events]
            time.sleep(0.05)
        raise AssertionError(events)


def _route(data: object) -> tuple[str, int]:
    return (data["route"], data["attempts"])  # type: ignore[index]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    home = Home.open(tmp_path / "home")
    yield Post(home)
    home.close()


def test_each_change_of_an_alert_arrives_once_in_order_with_its_cause(post: Post) -> None:
    with receivers.web() as receiver:
        post.routes["oncall"] = AlertRoute("oncall", "webhook", receiver.url)
        alert = fired(post.home)
        with acting("dora", "devops_engineer"), post.home.ledger.write() as tx:
            acknowledge(tx, SCOPE, alert.id, "on it")
            resolve(tx, SCOPE, alert.id, "repaired")
        with post.courier() as courier:
            post.dispatch(courier)
            assert post.ended(3) == [("delivered", "oncall", 1)] * 3
        told = [each.json for each in receiver.received]
    assert [each["type"] for each in told] == ["alert.firing", "alert.acknowledged", "alert.resolved"]
    assert [each["data"]["note"] for each in told] == ["", "on it", "repaired"]
    assert told[2]["data"]["actor"] == "dora"
    assert told[0]["data"]["numbers"] == {"distance": 1.0}
    assert len({each.headers["webhook-id"] for each in receiver.received}) == 3
    first = post.home.ledger.events(EventFilter(kinds=ENDED))[0]
    assert [post.home.ledger.event(seq).kind for seq in first.caused_by] == ["monitoring.alert_fired"]
    with post.home.ledger.read() as reader:
        assert {each.state for each in list_deliveries(reader, SCOPE, alert=alert.id)} == {"delivered"}
        assert list_deliveries(reader, Scope("flights", "production")) == []
        assert route_states(reader, SCOPE)["oncall"].delivered == 3


def test_the_same_event_again_is_no_second_message(post: Post) -> None:
    with receivers.web() as receiver:
        post.routes["oncall"] = AlertRoute("oncall", "webhook", receiver.url)
        fired(post.home)
        with post.courier() as courier:
            post.ended(1)
            (event,) = post.home.ledger.events(EventFilter(kinds=("monitoring.alert_fired",)))
            courier.enqueue(event)
            fired(post.home, "origin")
            post.dispatch(courier)
            post.ended(2)
        assert len(receiver.received) == 2


def test_a_failure_is_tried_again_under_the_same_id_and_a_refusal_is_not(post: Post) -> None:
    with receivers.web(500, 503, 200) as shaky, receivers.web(410) as gone:
        post.routes = {"shaky": AlertRoute("shaky", "webhook", shaky.url), "gone": AlertRoute("gone", "webhook", gone.url)}
        fired(post.home)
        with post.courier():
            assert sorted(post.ended(2)) == [("delivered", "shaky", 3), ("delivery_failed", "gone", 1)]
        assert len({each.headers["Idempotency-Key"] for each in shaky.received}) == 1
        assert len(gone.received) == 1


def test_after_the_last_attempt_the_failure_is_an_event_with_its_reason(post: Post) -> None:
    with receivers.web(500) as receiver:
        post.routes["oncall"] = AlertRoute("oncall", "webhook", receiver.url)
        fired(post.home)
        with post.courier(0.01, 0.01):
            assert post.ended(1) == [("delivery_failed", "oncall", 3)]
    (event,) = post.home.ledger.events(EventFilter(kinds=ENDED))
    assert event.data["detail"] == "127.0.0.1 answered HTTP 500"


def test_a_route_that_hangs_delays_no_other_and_no_alert(post: Post) -> None:
    hold = threading.Event()
    with receivers.web(hold=hold) as stuck, receivers.web() as well:
        post.routes = {"stuck": AlertRoute("stuck", "webhook", stuck.url), "well": AlertRoute("well", "webhook", well.url)}
        fired(post.home)
        with post.courier() as courier:
            stuck.wait_for(1)
            fired(post.home, "origin")
            post.dispatch(courier)
            well.wait_for(2)
            assert post.ended(2) == [("delivered", "well", 1)] * 2, "the other still hangs"
            hold.set()
            assert len(post.ended(4)) == 4


def test_a_change_waits_for_the_one_before_of_its_alert_but_not_for_other_alerts(post: Post) -> None:
    with receivers.web(500, 200) as receiver:
        post.routes["oncall"] = AlertRoute("oncall", "webhook", receiver.url)
        alert = fired(post.home)
        fired(post.home, "origin")
        with post.home.ledger.write() as tx:
            resolve(tx, SCOPE, alert.id)
        with post.courier(0.3, 0.3):
            post.ended(3)
        order = [(each.json["data"]["feature"], each.json["type"]) for each in receiver.received]
    assert order == [
        ("wind", "alert.firing"),
        ("origin", "alert.firing"),
        ("wind", "alert.firing"),
        ("wind", "alert.resolved"),
    ]


def test_filters_choose_and_a_route_that_is_no_longer_declared_ends(post: Post) -> None:
    with receivers.web(500) as receiver:
        post.routes = {
            "drift": AlertRoute(
                "drift", "webhook", receiver.url, alerts=("drift",), environments=("dev",), services=("delay",)
            ),
            "other": AlertRoute("other", "webhook", receiver.url, alerts=("staleness",)),
            "prod": AlertRoute("prod", "webhook", receiver.url, environments=("production",)),
            "fare": AlertRoute("fare", "webhook", receiver.url, services=("fare",)),
        }
        fired(post.home)
        with post.courier(60):
            receiver.wait_for(1)
        with post.home.ledger.read() as reader:
            (waiting,) = list_deliveries(reader, SCOPE)
        assert (waiting.route, waiting.state, waiting.attempts) == ("drift", "waiting", 1)
    post.routes = {}
    with post.home.ledger.write() as tx:
        tx.execute("UPDATE alert_delivery SET due_us = 0", ())
    with post.courier():
        assert post.ended(1) == [("delivery_failed", "drift", 2)]
    (event,) = post.home.ledger.events(EventFilter(kinds=ENDED))
    assert "no longer declares" in event.data["detail"]


def test_what_waits_goes_by_the_route_as_it_is_corrected(post: Post) -> None:
    with receivers.web(500) as wrong, receivers.web() as right:
        post.routes["oncall"] = AlertRoute("oncall", "webhook", wrong.url)
        fired(post.home)
        with post.courier():
            wrong.wait_for(1)
            post.routes["oncall"] = AlertRoute("oncall", "webhook", right.url)
            right.wait_for(1)


def test_alertmanager_is_told_again_of_what_is_open(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bucle.monitoring.routes.alertmanager.AGAIN_SECONDS", 0.2)
    monkeypatch.setattr("bucle.monitoring.routes.courier._IDLE_SECONDS", 0.1)
    with receivers.web() as manager, receivers.web() as hook:
        post.routes = {"am": AlertRoute("am", "alertmanager", manager.url), "hook": AlertRoute("hook", "webhook", hook.url)}
        alert = fired(post.home)
        with post.courier() as courier:
            manager.wait_for(4)
            with post.home.ledger.write() as tx:
                resolve(tx, SCOPE, alert.id)
            post.dispatch(courier)
            post.ended(4)
        assert len(hook.received) == 2
        assert {each.json[0]["labels"]["alert"] for each in manager.received} == {alert.id}


def test_a_test_alert_is_sent_at_once_and_recorded(post: Post) -> None:
    with receivers.web(200, 500) as receiver:
        post.routes["oncall"] = AlertRoute("oncall", "webhook", receiver.url)
        courier = Courier(post.home.ledger, lambda scope: post.routes, lambda: LAPTOP, lambda: "")
        assert courier.test(SCOPE, "oncall") == "HTTP 200"
        assert receiver.received[0].json["data"]["test"] is True
        with pytest.raises(RouteFailed) as refused:
            courier.test(SCOPE, "oncall")
        with pytest.raises(UnknownRoute) as unknown:
            courier.test(SCOPE, "oncal")
    assert (refused.value.code, unknown.value.code) == ("monitoring/route-failed", "monitoring/unknown-route")
    assert "oncall" in unknown.value.next_step
    tested = post.home.ledger.events(EventFilter(kinds=("monitoring.alert_route_tested",)))
    assert [(event.data["delivered"], event.data["detail"]) for event in tested] == [
        (True, "HTTP 200"),
        (False, "127.0.0.1 answered HTTP 500"),
    ]


def declared(root: Path, receiver: receivers.WebReceiver) -> Home:
    """Return the home of a project whose one route is the receiver."""
    root.mkdir(exist_ok=True)
    text = f'[project]\nname = "flights"\n\n[alerts.oncall]\nkind = "webhook"\nurl = "{receiver.url}"\n'
    (root / "bucle.toml").write_text(text)
    home = Home.open(root / ".bucle")
    register_project(home.ledger, load_project_file(root), working_tree=True)
    return home


def test_an_alert_outlives_kill_9_of_the_server_while_its_receiver_hangs(tmp_path: Path) -> None:
    hold = threading.Event()
    with receivers.web(hold=hold) as receiver:
        home = declared(tmp_path / "flights", receiver)
        alert = fired(home)
        home.close()
        with live.up(home.path) as server:
            (first,) = receiver.wait_for(1)
            server.kill()
        hold.set()
        with live.up(home.path):
            second = receiver.wait_for(2)[1]
            page = second.json["page"]
            for _ in range(200):
                shown = live.bucle("alerts", "routes", "--json", "--home", home.path, "--project", "flights").stdout
                if '"delivered":1' in shown.replace(" ", ""):
                    break
                time.sleep(0.1)
            else:
                raise AssertionError(shown)
    assert first.headers["webhook-id"] == second.headers["webhook-id"], "the receiver can tell that it has it already"
    assert page.endswith(f"/projects/flights/alerts#{alert.id}")


def test_a_server_for_others_reaches_only_what_its_operator_allows(tmp_path: Path) -> None:
    with receivers.web() as receiver:
        home = declared(tmp_path / "flights", receiver)
        file = tmp_path / "flights" / "bucle.toml"
        text = file.read_text()
        file.write_text(text + text[text.index("\n[alerts") :].replace("oncall", "other").replace("127.0.0.1", "127.0.0.2"))
        token = create_token(home.ledger, "ana", "owner").secret
        home.close()
        here = ("--home", home.path, "--project", "flights")
        done = live.bucle("alerts", "test", "oncall", *here)
        assert (done.returncode, done.stdout) == (0, "oncall took the test alert (HTTP 200)\n"), done.stderr
        with live.up(home.path, "--require-token", "--allow-route", "127.0.0.2") as server:
            words = [
                live.bucle("alerts", "test", name, *here, BUCLE_TOKEN=token, BUCLE_URL=server.url)
                for name in ("oncall", "other")
            ]
        assert [each.returncode for each in words] == [1, 1]
        assert "not on the public internet" in words[0].stderr
        assert "Connection refused" in words[1].stderr, "it was let out; nobody listens there"
        assert len(receiver.received) == 1


def test_what_is_no_network_cannot_be_allowed() -> None:
    said = live.bucle("up", "--allow-route", "nowhere")
    assert said.returncode == 2
    assert "not a network" in said.stderr
