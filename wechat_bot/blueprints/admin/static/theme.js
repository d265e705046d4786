// Apply the theme of the system before the first paint, unless the operator has chosen one, and tell stylesheets of scripts.
(() => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { root.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  root.classList.add("js");
  if (root.dataset.theme !== "auto") return;
  follow();
  dark.addEventListener("change", follow);
})();
