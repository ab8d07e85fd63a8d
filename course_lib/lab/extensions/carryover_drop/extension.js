// A prebuilt extension of JupyterLab, written by hand, as carryover_hanzi is: a picture that is dropped on a control
// of the course is taken as if it had been chosen in the window that the control's button opens.
{
  const sheet = new URL("drop.css", document.currentScript.src).href;
  const style = () => {
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: sheet }));
    return {};
  };
  window._JUPYTERLAB = { ...window._JUPYTERLAB, carryover_drop: { init: () => {}, get: async () => style } };

  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

  // The controls with one button for a picture over which something is held; their kernel must still be there.
  const under = (event) => {
    const panel = event.target.closest?.(".carryover-explore:not(.jupyter-widgets-disconnected)");
    return panel?.querySelectorAll(".widget-upload:not(:disabled)").length === 1 ? panel : null;
  };

  // ipywidgets keeps the button's file input out of the page. A click on the button clicks it; for the length of
  // that one click, being clicked means being told, and no window opens.
  const inputOf = (button) => {
    const click = HTMLInputElement.prototype.click;
    let found = null;
    HTMLInputElement.prototype.click = function () {
      found = this;
    };
    try {
      button.click();
    } finally {
      HTMLInputElement.prototype.click = click;
    }
    return found;
  };

  const mark = (panel) => {
    for (const one of document.querySelectorAll(".carryover-over")) {
      if (one !== panel) one.classList.remove("carryover-over");
    }
    panel?.classList.add("carryover-over");
  };

  // Without preventDefault the browser would leave JupyterLab and show the file.
  const held = (event) => {
    if (!carriesFiles(event)) return;
    const panel = under(event);
    mark(panel);
    if (!panel) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
  };

  const dropped = (event) => {
    if (!carriesFiles(event)) return;
    const panel = under(event);
    mark(null);
    if (!panel) return;
    event.preventDefault();
    event.stopPropagation();
    const file = event.dataTransfer.files[0];
    const input = file && inputOf(panel.querySelector(".widget-upload"));
    if (!input) return;
    const first = new DataTransfer();
    first.items.add(file);
    input.files = first.files;
    input.dispatchEvent(new Event("change"));
  };

  document.addEventListener("dragover", held, true);
  document.addEventListener("drop", dropped, true);
  document.addEventListener("dragleave", (event) => event.relatedTarget || mark(null), true);
}
