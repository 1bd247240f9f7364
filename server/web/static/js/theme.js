// Before the page is painted, so that it never flashes in the other theme: a classic script, no module.
(() => {
  try {
    const theme = localStorage.getItem("sagehold.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // A browser that keeps nothing follows the system.
  }
})();
