// Apply the theme before the first paint: the operator's choice, or that of the system.
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
