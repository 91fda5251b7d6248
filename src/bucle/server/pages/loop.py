"""The page of the loop: Figure 4 with each component's live state and the feedback that was really travelled."""

from dataclasses import dataclass
from datetime import datetime

from bucle.audit import Evidence, arrow_states, component_states
from bucle.ledger import EventFilter, Scope, StoredEvent
from bucle.project import list_projects
from bucle.server.pages.ledger import LIVE
from bucle.server.pages.page import Page
from bucle.server.routing import Call

WIDTH, HEIGHT = 186, 84
_POSITIONS: dict[str, tuple[int, int, str]] = {
    "C2": (20, 20, "events?kind=delivery.commit_received"),
    "C1": (250, 20, "delivery"),
    "C3": (480, 20, "runs"),
    "C5": (710, 20, "runs"),
    "C6": (914, 140, "models"),
    "DATA": (20, 210, "events?kind=data."),
    "C4": (250, 210, "events?kind=features."),
    "C7": (480, 210, "events"),
    "C8": (914, 290, "services"),
    "C9": (710, 410, "alerts"),
    "WORK": (20, 410, "work"),
}
_FORWARD = (
    "M206 62H246", "M436 62H476", "M666 62H706", "M896 62C960 62 1007 80 1007 136", "M1007 224V286", "M206 252H246",
    "M390 210C420 150 470 130 520 108", "M390 294C440 352 700 350 910 338", "M1007 374C1007 440 960 452 900 452",
    "M573 104V206",
)  # fmt: skip
_FEEDBACK: dict[str, tuple[str, int, int]] = {
    "K-F1": ("M120 410C150 350 200 330 270 298", 150, 372),
    "K-F2": ("M706 470H210", 440, 488),
    "K-F3": ("M706 440C520 430 400 380 350 298", 470, 412),
    "K-F4": ("M760 410C760 300 720 180 640 108", 748, 250),
    "K-F6": ("M300 20C250 2 180 2 130 16", 205, 12),
}


@dataclass(frozen=True, slots=True)
class Box:
    """A component of the figure: where it stands, what it did and where its details are."""

    id: str
    x: int
    y: int
    width: int
    href: str
    count: int
    last_kind: str | None
    last_at: datetime | None
    tone: str


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line of the figure; `event` is the seq that shows the feedback, None while nothing went that way."""

    path: str
    id: str = ""
    event: int | None = None
    label_x: int = 0
    label_y: int = 0


@dataclass(frozen=True, slots=True)
class LoopDocument:
    """What the page of the loop shows."""

    project: str
    components: list[Box]
    forward: list[Arrow]
    feedback: list[Arrow]
    events: list[StoredEvent]


def loop_document(call: Call) -> LoopDocument:
    """Return the loop of a project as its evidence shows it."""
    project = call.path["project"]
    ledger = call.house.ledger
    boxes = []
    for state in component_states(ledger, project):
        x, y, href = _POSITIONS[state.id]
        link = f"/projects/{project}/{href}"
        boxes.append(Box(state.id, x, y, WIDTH, link, state.count, state.last_kind, state.last_at, state.tone))
    seen = {arrow.id: arrow.event for arrow in arrow_states(Evidence(ledger, project))}
    feedback = [Arrow(path, id, seen[id], x, y) for id, (path, x, y) in _FEEDBACK.items()]
    recent = ledger.events(EventFilter(project=project, newest_first=True, limit=12))
    return LoopDocument(project, boxes, [Arrow(path) for path in _FORWARD], feedback, recent)


@dataclass(frozen=True, slots=True)
class HomeDocument:
    """The projects of this home."""

    projects: list[str]


def home_document(call: Call) -> HomeDocument:
    """Return the projects that the caller may see."""
    with call.house.ledger.read() as reader:
        names = [project.name for project in list_projects(reader)]
    return HomeDocument([name for name in names if call.may("project.read", Scope(name))])


PAGES = (
    Page("/", "home.html.j2", home_document, "project.read", "Projects.", live=("project.",)),
    Page(
        "/projects/{project}",
        "loop.html.j2",
        loop_document,
        "ledger.read",
        "The loop.",
        live=LIVE,
    ),
)
