"""Write docs/images/*.png of the main pages of a running server: python -m bench.screenshots URL [PROJECT] [FOLDER]."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.browser import browser

WIDTH = 1280
VIEWS = ((WIDTH, False, ""), (WIDTH, True, "-dark"), (400, False, "-narrow"), (400, True, "-narrow-dark"))


def document(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.load(answer)


def pages(url: str, project: str) -> dict[str, str]:
    """Return the main pages by the name of their picture; those of one thing show the newest that there is."""
    root = f"{url}/projects/{project}"
    found = {
        "loop": root,
        **{tab: f"{root}/{tab}" for tab in ("runs", "models", "services", "rollouts", "alerts", "delivery", "work")},
    }
    found |= {"audit": f"{root}/audit", "events": f"{root}/events"}
    runs = document(f"{root}/runs.json")["runs"]
    if runs:
        found["run"] = f"{root}/runs/{runs[0]['run']['id']}"
    versions = document(f"{root}/models.json")["versions"]
    if versions:
        found["version"] = f"{root}/models/{versions[0]['model']}/{versions[0]['version']}"
    if len(versions) > 1:
        found["compare"] = f"{root}/compare"
    rollouts = document(f"{root}/rollouts.json")["rollouts"]
    if rollouts:
        found["rollout"] = f"{root}/rollouts/{rollouts[0]['id']}"
        other = next((each for each in rollouts if each["state"] != rollouts[0]["state"]), None)
        if other:
            found["rollout-other"] = f"{root}/rollouts/{other['id']}"
    services = document(f"{root}/services.json")["services"]
    if services:
        last = services[-1]
        found["service"] = f"{root}/services/{last['name']}?environment={last['environment']}"
        deployment = last["deployment"]
        if deployment:
            found["why"] = f"{url}/why/{deployment['event']}"
    return found


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("usage: python -m bench.screenshots URL [PROJECT] [FOLDER] [all]; the server must run: bucle demo --keep")
    url, project = sys.argv[1].rstrip("/"), (sys.argv[2:] or ["flights"])[0]
    folder = Path((sys.argv[3:] or ["docs/images"])[0])
    folder.mkdir(parents=True, exist_ok=True)
    views = VIEWS if "all" in sys.argv[4:] else VIEWS[:1]
    with browser() as tab:
        for name, address in pages(url, project).items():
            for width, dark, suffix in views:
                tab.look(width, dark)
                tab.open(address)
                wide = tab.value("document.documentElement.scrollWidth")
                tab.screenshot(folder / f"{name}{suffix}.png")
                print(f"{name}{suffix}.png {'' if wide <= width else f'is {wide} pixels wide in a window of {width}'}")
        for complaint in tab.complaints:
            print(f"complaint: {complaint}")


if __name__ == "__main__":
    main()
