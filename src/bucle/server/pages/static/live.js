// Keeps a page true: when an event of the page's kinds is committed, the page's main part is fetched again.
const main = document.querySelector("main");
const kinds = (main.dataset.live || "").split(" ").filter(Boolean);
const status = document.querySelector("[data-connection]");

let due = null;
async function refresh() {
  due = null;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const next = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.id;
  const opened = [...main.querySelectorAll("details[open][id]")].map((each) => each.id);
  main.replaceChildren(...next.querySelector("main").childNodes);
  document.querySelector(".clock").replaceChildren(...next.querySelector(".clock").childNodes);
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  if (focused) document.getElementById(focused)?.focus();
}

if (kinds.length) {
  const source = new EventSource(main.dataset.stream);
  source.addEventListener("open", () => status?.replaceChildren());
  source.addEventListener("error", () => status?.replaceChildren(status.dataset.connection));
  source.onmessage = (message) => {
    const event = JSON.parse(message.data);
    if (kinds.some((kind) => event.kind === kind || (kind.endsWith(".") && event.kind.startsWith(kind)))) {
      due ??= setTimeout(refresh, 400);
    }
  };
}
