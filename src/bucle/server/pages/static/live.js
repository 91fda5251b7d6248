// Keeps a page true: when an event of the page's kinds is committed, the page's main part is fetched again.
const main = document.querySelector("main");
const kinds = (main.dataset.live || "").split(" ").filter(Boolean);
const status = document.querySelector("[data-connection]");
const PAUSE = 400;

let stale = false;
let busy = false;

async function refresh() {
  if (busy || !stale || document.hidden) return;
  busy = true;
  await new Promise((done) => setTimeout(done, PAUSE)); // events come in groups: one look for all of them
  stale = false;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (answer?.ok) show(await answer.text());
  busy = false;
  refresh();
}

// What is wider than its place scrolls within it: by keyboard too, and a screen reader is told what it is.
function reach() {
  for (const each of main.querySelectorAll(".scroll")) {
    if (each.scrollWidth <= each.clientWidth + 1 && each.scrollHeight <= each.clientHeight + 1) continue;
    each.tabIndex = 0;
    each.setAttribute("role", "region");
    each.setAttribute("aria-label", heading(each));
  }
}

function heading(element) {
  const before = [...main.querySelectorAll("h1, h2, h3")].filter(
    (each) => each.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  return before.at(-1)?.textContent.trim() || document.title;
}

function show(text) {
  const next = new DOMParser().parseFromString(text, "text/html");
  const { id: focused, value: typed } = document.activeElement ?? {};
  const folded = new Map([...main.querySelectorAll("details[id]")].map((each) => [each.id, each.open]));
  main.replaceChildren(...next.querySelector("main").childNodes);
  document.querySelector(".clock").replaceChildren(...next.querySelector(".clock").childNodes);
  reach();
  for (const each of main.querySelectorAll("details[id]")) each.open = folded.get(each.id) ?? each.open;
  const field = focused && document.getElementById(focused);
  if (field && typed !== undefined) field.value = typed;
  if (field) field.focus();
}

reach();
addEventListener("resize", reach);

if (kinds.length) {
  const source = new EventSource(main.dataset.stream);
  source.addEventListener("open", () => status?.replaceChildren());
  source.addEventListener("error", () => status?.replaceChildren(status.dataset.connection));
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (kinds.some((kind) => event.kind === kind || (kind.endsWith(".") && event.kind.startsWith(kind)))) {
      stale = true;
      refresh();
    }
  };
  document.addEventListener("visibilitychange", refresh);
}
