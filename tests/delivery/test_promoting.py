"""Releases on their way to production: evidence first (L-02), then the agreement that the policy asks for, then the move."""

from pathlib import Path
from typing import Any

import pytest
from tests.delivery.developing import TOML, Refusal, Server, commit_all, push, write_project


@pytest.fixture(scope="module")
def people(quick: Server) -> dict[str, str]:
    return {
        "olga": quick.token("olga", "devops_engineer"),
        "raj": quick.token("raj", "software_engineer"),
        "mia": quick.token("mia", "ml_engineer"),
        "ana": quick.token("ana", "ml_engineer"),
        "dora": quick.token("dora", "data_scientist"),
        "vic": quick.token("vic", "viewer"),
    }


def released(quick: Server, folder: Path, name: str, **files: str) -> str:
    sha = commit_all(write_project(folder, name, files))
    _, lines = push(quick, folder, name)
    assert any("released" in line for line in lines), lines
    return sha


def promote(quick: Server, name: str, target: str, environment: str, token: str | None = None) -> Any:
    path = f"/api/v1/projects/{name}/promotions?environment={environment}"
    return quick.ask("POST", path, {"target": target}, token)


def approve(quick: Server, name: str, id: str, token: str | None = None) -> Any:
    return quick.ask("POST", f"/api/v1/projects/{name}/promotions/{id}/approve", {"note": "looks fine"}, token)


def running(quick: Server, name: str, environment: str) -> list[str]:
    path = f"/api/v1/projects/{name}/deployments/releases?environment={environment}"
    return [each["release"] for each in quick.ask("GET", path)]


def test_a_release_reaches_test_by_itself_and_production_by_two_people(
    quick: Server, people: dict[str, str], tmp_path: Path
) -> None:
    sha = released(quick, tmp_path, "steps")
    assert len(running(quick, "steps", "test")) == 1 and running(quick, "steps", "production") == []
    waiting = promote(quick, "steps", f"release:{sha[:10]}", "production", people["olga"])
    assert (waiting["state"], waiting["policy"]) == ("pending", "approved")
    assert running(quick, "steps", "production") == []
    done = approve(quick, "steps", waiting["id"], people["raj"])
    assert (done["state"], done["approver"]) == ("done", "raj")
    assert running(quick, "steps", "production") == running(quick, "steps", "test")
    event = quick.events("delivery.deployed", project="steps")[-1]
    assert event["data"]["manual"] == 2 and event["actor"] == "raj" and event["role"] == "software_engineer"
    chain = {each["kind"] for each in quick.ask("GET", f"/api/v1/why/{event['seq']}")["events"]}
    assert {"delivery.promotion_requested", "delivery.promotion_approved", "delivery.released"} <= chain
    assert "delivery.commit_received" in chain


def test_who_may_approve_in_production_alone_sees_and_approves_what_waits_there(
    quick: Server, people: dict[str, str], tmp_path: Path
) -> None:
    sha = released(quick, tmp_path, "alone")
    scope = {"name": "priya", "role": "software_engineer", "project": "alone", "environment": "production"}
    token = str(quick.ask("POST", "/api/v1/tokens", scope)["token"])
    staged = promote(quick, "alone", running(quick, "alone", "test")[0], "staging", people["olga"])
    waiting = promote(quick, "alone", f"release:{sha}", "production", people["olga"])
    path = "/api/v1/projects/alone/promotions"
    assert [each["id"] for each in quick.ask("GET", path, token=token)] == [waiting["id"]]
    for target in (staged["id"], f"{staged['id']}/approve"):
        with pytest.raises(Refusal) as caught:
            quick.ask(*(("POST", f"{path}/{target}", {}) if "/" in target else ("GET", f"{path}/{target}")), token=token)
        assert caught.value.code == "identity/forbidden"
    assert approve(quick, "alone", waiting["id"], token)["state"] == "done"


@pytest.mark.parametrize("who", ["olga", "ana"])
def test_neither_who_asks_nor_who_wrote_the_commit_can_approve(
    quick: Server, people: dict[str, str], tmp_path: Path, who: str
) -> None:
    name = f"own_{who}"
    sha = released(quick, tmp_path, name)
    waiting = promote(quick, name, f"release:{sha}", "production", people["olga"])
    with pytest.raises(Refusal) as caught:
        approve(quick, name, waiting["id"], people[who])
    assert caught.value.code == "delivery/own-approval"
    assert running(quick, name, "production") == []


def test_who_has_no_right_to_approve_or_promote_cannot(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    sha = released(quick, tmp_path, "rights")
    with pytest.raises(Refusal) as caught:
        promote(quick, "rights", f"release:{sha}", "production", people["dora"])
    assert caught.value.code == "identity/forbidden"
    waiting = promote(quick, "rights", f"release:{sha}", "production", people["olga"])
    for who in ("dora", "vic"):
        with pytest.raises(Refusal) as caught:
            approve(quick, "rights", waiting["id"], people[who])
        assert caught.value.code == "identity/forbidden"


def first_in(quick: Server, people: dict[str, str], folder: Path, name: str, environment: str, **files: str) -> None:
    """Release a project and bring that first release to an environment, whose policy is agreed to thereby."""
    sha = released(quick, folder, name, **files)
    asked = promote(quick, name, f"release:{sha}", environment, people["olga"])
    assert asked["policy"] == "approved"
    approve(quick, name, asked["id"], people["raj"])


def test_staging_wants_a_review_by_any_other_developer(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    first_in(quick, people, tmp_path, "review", "staging")
    sha = released(quick, tmp_path, "review", **{"more.py": '"""More."""\n'})
    waiting = promote(quick, "review", f"release:{sha}", "staging", people["olga"])
    assert waiting["policy"] == "reviewed"
    assert approve(quick, "review", waiting["id"], people["dora"])["state"] == "done"


def test_who_may_agree_to_a_review_may_say_no_to_it(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    first_in(quick, people, tmp_path, "sayno", "staging")
    sha = released(quick, tmp_path, "sayno", **{"more.py": '"""More."""\n'})
    waiting = promote(quick, "sayno", f"release:{sha}", "staging", people["olga"])
    path = f"/api/v1/projects/sayno/promotions/{waiting['id']}/refuse"
    with pytest.raises(Refusal) as caught:
        quick.ask("POST", path, {"reason": "I only look"}, people["vic"])
    assert caught.value.code == "identity/forbidden"
    assert quick.ask("POST", path, {"reason": "not yet"}, people["dora"])["state"] == "refused"


def test_who_asks_for_what_waits_already_has_asked_for_it_too(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    sha = released(quick, tmp_path, "both")
    first = promote(quick, "both", f"release:{sha}", "production", people["olga"])
    again = promote(quick, "both", f"release:{sha}", "production", people["mia"])
    assert again["id"] == first["id"] and again["requester"] == "olga" and "mia" in again["authors"]
    for who in ("olga", "mia"):
        with pytest.raises(Refusal) as caught:
            approve(quick, "both", first["id"], people[who])
        assert caught.value.code == "delivery/own-approval"
    assert approve(quick, "both", first["id"], people["raj"])["state"] == "done"
    askers = [event["actor"] for event in quick.events("delivery.promotion_requested", project="both")]
    assert askers == ["olga", "mia"]


def test_the_first_release_does_not_bring_its_own_policy(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    toml = TOML.format(name="fresh").replace('deploy = "approved"', 'deploy = "automatic"')
    sha = commit_all(write_project(tmp_path, "fresh", {"bucle.toml": toml}))
    _, lines = push(quick, tmp_path, "fresh")
    assert lines[-1] == f"bucle: production waits for a word: bucle promote release:{sha[:10]} production"
    assert running(quick, "fresh", "production") == []
    waiting = promote(quick, "fresh", f"release:{sha}", "production", people["olga"])
    assert (waiting["state"], waiting["policy"]) == ("pending", "approved")
    approve(quick, "fresh", waiting["id"], people["raj"])
    released(quick, tmp_path, "fresh", **{"more.py": '"""More."""\n', "bucle.toml": toml})
    assert len(running(quick, "fresh", "production")) == 2, "what was agreed to is in force from then on"


def test_an_owner_may_bring_the_first_release_where_its_file_asks_for_nobody(
    quick: Server, people: dict[str, str], tmp_path: Path
) -> None:
    toml = TOML.format(name="alone_owner").replace('deploy = "approved"', 'deploy = "automatic"')
    sha = released(quick, tmp_path, "alone_owner", **{"bucle.toml": toml})
    assert promote(quick, "alone_owner", f"release:{sha}", "staging")["policy"] == "approved"
    done = promote(quick, "alone_owner", f"release:{sha}", "production")
    assert (done["state"], done["policy"]) == ("done", "automatic")


def test_a_commit_whose_checks_failed_can_go_nowhere(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    sha = commit_all(write_project(tmp_path, "failing", {"bucle.toml": "[nonsense]\n"}))
    push(quick, tmp_path, "failing")
    for environment in ("test", "staging", "production"):
        with pytest.raises(Refusal) as caught:
            promote(quick, "failing", f"release:{sha}", environment, people["olga"])
        assert caught.value.code == "delivery/unknown-release"


def test_what_never_ran_in_test_cannot_go_further(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    toml = TOML.format(name="untested").replace(
        '[environments.test]\ndeploy = "automatic"', '[environments.test]\ndeploy = "reviewed"'
    )
    sha = released(quick, tmp_path, "untested", **{"bucle.toml": toml})
    with pytest.raises(Refusal) as caught:
        promote(quick, "untested", f"release:{sha}", "production", people["olga"])
    assert caught.value.code == "delivery/no-evidence"
    waiting = promote(quick, "untested", f"release:{sha}", "test", people["olga"])
    approve(quick, "untested", waiting["id"], people["raj"])
    assert promote(quick, "untested", f"release:{sha}", "production", people["olga"])["state"] == "pending"


def test_a_commit_cannot_let_itself_in_by_a_looser_policy(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    sha = released(quick, tmp_path, "loose")
    approve(quick, "loose", promote(quick, "loose", f"release:{sha}", "production", people["olga"])["id"], people["raj"])
    toml = TOML.format(name="loose").replace('deploy = "approved"', 'deploy = "automatic"')
    looser = released(quick, tmp_path, "loose", **{"bucle.toml": toml})
    assert len(running(quick, "loose", "production")) == 1
    waiting = promote(quick, "loose", f"release:{looser}", "production", people["olga"])
    assert waiting["policy"] == "approved"
    approve(quick, "loose", waiting["id"], people["raj"])
    (tmp_path / "loose.py").write_text('"""Once more."""\n')
    commit_all(tmp_path)
    _, lines = push(quick, tmp_path, "loose")
    assert lines[-1] == "bucle: production runs it"


def test_a_policy_that_became_stricter_counts_for_what_waits(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    first_in(quick, people, tmp_path, "tighter", "staging")
    first = released(quick, tmp_path, "tighter", **{"more.py": '"""More."""\n'})
    waiting = promote(quick, "tighter", f"release:{first}", "staging", people["olga"])
    assert waiting["policy"] == "reviewed"
    strict = TOML.format(name="tighter").replace("reviewed", "approved")
    second = released(quick, tmp_path, "tighter", **{"bucle.toml": strict})
    approve(quick, "tighter", promote(quick, "tighter", f"release:{second}", "staging", people["olga"])["id"], people["raj"])
    with pytest.raises(Refusal) as caught:
        approve(quick, "tighter", waiting["id"], people["dora"])
    assert caught.value.code == "identity/forbidden"
    done = approve(quick, "tighter", waiting["id"], people["raj"])
    assert (done["state"], done["policy"]) == ("done", "approved")


def test_asking_twice_is_asking_once_and_what_is_decided_stays(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    sha = released(quick, tmp_path, "twice")
    first = promote(quick, "twice", f"release:{sha}", "production", people["olga"])
    assert promote(quick, "twice", f"release:{sha}", "production", people["olga"])["id"] == first["id"]
    path = f"/api/v1/projects/twice/promotions/{first['id']}/refuse"
    assert quick.ask("POST", path, {"reason": "not on a Friday"}, people["raj"])["state"] == "refused"
    with pytest.raises(Refusal) as caught:
        approve(quick, "twice", first["id"], people["raj"])
    assert caught.value.code == "delivery/not-pending"


def test_rolling_back_returns_to_the_release_before_and_again_to_the_one_before_that(
    quick: Server, people: dict[str, str], tmp_path: Path
) -> None:
    commits = []
    for number in range(3):
        (tmp_path / "back.py").write_text("x = 1\n") if number == 0 else None
        commits.append(released(quick, tmp_path, "back", **{"back.py": f'"""Version {number}."""\n'}))
    releases = list(reversed(running(quick, "back", "test")))
    assert len(releases) == 3
    path = "/api/v1/projects/back/rollback?environment=test"
    first = quick.ask("POST", path, {"name": "back"}, people["olga"])
    second = quick.ask("POST", path, {"name": "back"}, people["olga"])
    assert (first["restored"], second["restored"]) == (releases[1], releases[0])
    with pytest.raises(Refusal) as caught:
        quick.ask("POST", path, {"name": "back"}, people["olga"])
    assert caught.value.code == "delivery/nothing-before"
    assert quick.events("delivery.rolled_back", project="back")[-1]["data"]["restored"] == releases[0]


def test_bad_targets_and_environments_are_refused_by_code(quick: Server, people: dict[str, str], tmp_path: Path) -> None:
    sha = released(quick, tmp_path, "codes")
    wrong = {
        ("delay", "production"): "delivery/bad-target",
        ("release:", "production"): "delivery/bad-target",
        ("release:0123456", "production"): "project/unknown-commit",
        ("release:--output=/tmp/x", "production"): "project/unknown-commit",
        (f"release:{sha}", "nowhere"): "project/unknown-environment",
        (f"release:{sha}", "dev"): "delivery/dev-runs-no-release",
    }
    for (target, environment), code in wrong.items():
        with pytest.raises(Refusal) as caught:
            promote(quick, "codes", target, environment, people["olga"])
        assert caught.value.code == code, target
