// Light or dark: as the device has it, or as a person chose. An ordinary script before the first paint, so that nothing
// flashes. The choice alone is remembered.

(() => {
  const root = document.documentElement;
  const device = matchMedia("(prefers-color-scheme: dark)");
  const stored = (act) => {
    try {
      return act(localStorage);
    } catch {
      return null; // A browser that stores nothing still switches.
    }
  };
  let chosen = stored((store) => store.getItem("hearth-theme"));

  const isDark = () => (chosen ? chosen === "dark" : device.matches);
  const show = () => {
    root.dataset.theme = isDark() ? "dark" : "light";
    const button = document.getElementById("theme");
    if (!button) return;
    button.setAttribute("aria-pressed", String(isDark()));
    button.querySelector("use").setAttribute("href", isDark() ? "#icon-light" : "#icon-dark");
  };
  const turn = () => {
    chosen = isDark() ? "light" : "dark";
    stored((store) => store.setItem("hearth-theme", chosen));
    show();
  };

  show();
  device.addEventListener("change", show);
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", turn);
    show();
  });
})();
