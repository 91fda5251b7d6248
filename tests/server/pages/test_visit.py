"""A visit to the pages with Playwright on the system's Chromium: by pointer and by keyboard, wide and narrow, light and dark.

In contrast with `test_in_a_browser.py` this belongs to `make test`: what a customer would be shown first must not break.
"""

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.browser import chromium
from tests.live import Server, up
from tests.server.pages.furnishing import Furnished

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const read = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const parts = (colour) => known.get(colour) ?? known.set(colour, read(colour)).get(colour);
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => linear(part / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const fill = getComputedStyle(each).backgroundColor;
      if (parts(fill)[3] === 255) return fill;
    }
    return "white";
  };
  const found = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || ["SCRIPT", "TITLE", "title", "OPTION"].includes(element.tagName)) continue;
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [light(parts(ink)), light(parts(ground(element)))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.add(`${element.tagName}.${element.getAttribute("class")} ${ratio.toFixed(2)} ${ink}`);
  }
  return [...found];
}"""
"""What text has less contrast with its ground than WCAG's AA asks for, 4.5 to 1."""


@pytest.fixture(scope="module")
def running(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a copy of the furnished home: the original is open in another test."""
    home = tmp_path_factory.mktemp("visited") / "home"
    shutil.copytree(furnished.home, home, ignore=shutil.ignore_patterns("lock"))
    with up(home) as server:
        yield server


@pytest.fixture(scope="module")
def visitors_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(visitors_browser: Browser, running: Server) -> Iterator[Page]:
    """A tab of somebody new; whatever its scripts or its policy complain about fails the test."""
    context = visitors_browser.new_context(base_url=running.url, locale="en-GB", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    tab, complaints = context.new_page(), []
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    yield tab
    context.close()
    assert complaints == []


def tab_to(page: Page, wanted: str, most: int = 60) -> None:
    """Press Tab until the element that `wanted` selects has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.locator(f"{wanted}:focus").count():
            return
    raise AssertionError(f"{wanted} was not reached with {most} presses of Tab")


def test_a_visitor_finds_the_way_from_the_projects_to_models_side_by_side(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="p", exact=True).click()
    expect(page.get_by_role("img", name=re.compile("components of the loop"))).to_be_visible()
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("checkbox", name="compare delay@1").check()
    page.get_by_role("checkbox", name="compare delay@2").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Models side by side")).to_be_visible()
    expect(page.locator(".figure")).to_have_text([re.compile("delay@2"), re.compile("delay@1")])
    expect(page.get_by_text("which may be chance")).to_be_visible()
    expect(page.get_by_role("rowheader", name="better_than_production")).to_be_visible()


def test_a_visitor_sees_why_a_rollout_went_back(page: Page, furnished: Furnished) -> None:
    page.goto("/projects/p/rollouts")
    page.get_by_role("link", name="delay@2", exact=True).click()
    expect(page.locator(".steps li.back")).to_contain_text("it went back here")
    curve = page.get_by_role("img", name=re.compile("^Errors: .*threshold"))
    expect(curve).to_be_visible()
    assert curve.locator("path.curve").bounding_box()["height"] > 20, "the evidence rose"
    page.locator("section", has_text="Errors").get_by_text("The figures").click()
    expect(page.locator("#figures-errors table")).to_be_visible()
    page.get_by_role("link", name="Why", exact=True).first.click()
    expect(page.get_by_text("delivery.rollout_rolled_back").first).to_be_visible()


def test_a_visitor_follows_a_prediction_to_its_causes(page: Page, furnished: Furnished) -> None:
    page.goto(f"/projects/p/services/{furnished.service}")
    expect(page.get_by_role("img", name=re.compile("^What was lost"))).to_be_visible()
    page.get_by_role("link", name=furnished.prediction).click()
    expect(page.get_by_text("serving.deployed").first).to_be_visible()


def test_the_pages_work_without_a_pointer(page: Page) -> None:
    page.goto("/projects/p/models")
    page.keyboard.press("Tab")
    skip = page.locator(".skip:focus")
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#content$"))
    tab_to(page, "input[type=checkbox]")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", "the focus is seen"
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Models side by side")).to_be_visible()
    tab_to(page, "#choose summary")
    page.keyboard.press("Enter")
    expect(page.locator("#choose form")).to_be_visible()


def test_what_is_wider_than_its_place_is_reached_by_keyboard(page: Page) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto("/projects/p/compare")
    wider = page.locator(".scroll").evaluate_all("all => all.filter(each => each.scrollWidth > each.clientWidth + 1)"
                                                 ".map(each => [each.tabIndex, each.getAttribute('aria-label')])")  # fmt: skip
    assert wider and all(index == 0 and label for index, label in wider)


def test_the_theme_is_the_system_s_until_somebody_chooses_and_then_stays(page: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    page.goto("/projects/p")
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Theme: automatic").click()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    light = page.evaluate(ground)
    assert light != dark
    page.goto("/projects/p/work")
    assert page.evaluate(ground) == light
    page.get_by_role("button", name="Theme: light").click()
    page.emulate_media(color_scheme="light")
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(ground) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_that_it_needs_and_no_page_scrolls_sideways(
    page: Page, furnished: Furnished, scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    tabs = ("", "/runs", "/models", "/compare", f"/services/{furnished.service}", f"/rollouts/{furnished.rollout}", "/alerts",
            "/delivery", "/work", "/audit", "/events")  # fmt: skip
    for tab in tabs:
        page.goto(f"/projects/p{tab}")
        assert page.evaluate(CONTRAST) == [], tab
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, tab
        page.set_viewport_size({"width": 1280, "height": 900})


def test_who_reads_spanish_is_met_in_spanish(visitors_browser: Browser, running: Server, furnished: Furnished) -> None:
    context = visitors_browser.new_context(base_url=running.url, locale="es-AR")
    tab = context.new_page()
    tab.goto(f"/projects/p/rollouts/{furnished.rollout}")
    expect(tab.get_by_role("heading", name="La evidencia, según creció")).to_be_visible()
    expect(tab.locator(".state.bad").first).to_have_text("revertido")
    context.close()
