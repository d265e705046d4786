// The theme, before anything is drawn: what the operator chose, or what the system has.
(() => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = root.dataset.theme;
    root.dataset.bsTheme = chosen === "dark" || (chosen !== "light" && dark.matches) ? "dark" : "light";
    root.classList.add("js");
  };
  apply();
  dark.addEventListener("change", apply);
})();
