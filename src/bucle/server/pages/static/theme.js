// Light, dark or as the system has it: what was chosen here is kept by this browser. Runs before the page is painted.
(() => {
  const choices = ["auto", "light", "dark"];
  const root = document.documentElement;
  let chosen = "auto";
  try {
    chosen = localStorage.getItem("theme") || "auto";
  } catch {} // a browser that keeps nothing: the system's choice
  const apply = () => (chosen === "auto" ? delete root.dataset.theme : (root.dataset.theme = chosen));
  if (!choices.includes(chosen)) chosen = "auto";
  apply();
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("button.theme");
    const say = () => (button.textContent = button.dataset[chosen]);
    button.hidden = false;
    say();
    button.addEventListener("click", () => {
      chosen = choices[(choices.indexOf(chosen) + 1) % choices.length];
      try {
        localStorage.setItem("theme", chosen);
      } catch {}
      apply();
      say();
    });
  });
})();
