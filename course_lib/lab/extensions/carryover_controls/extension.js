// A prebuilt extension of JupyterLab, written by hand, as carryover_hanzi is. It helps where JupyterLab and ipywidgets
// leave a learner in the dark: a picture that is dropped on one of the course's controls is taken as if it had been
// chosen in the window that the button opens; a slider tells a screen reader what it sets and to what; and the tab of
// an exercise, whose file is named as its notebook's is, says that it is one.
{
  const EXERCISE = "carryover-exercise";
  const sheet = new URL("controls.css", document.currentScript.src).href;
  const style = () => {
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: sheet }));
    return {};
  };
  // A word of the style sheet, as a new label would rename the file.
  const markTabs = (shell) => {
    for (const { context, title } of shell.widgets("main")) {
      if (!/(^|\/)exercises\/[^/]+\.ipynb$/.test(context?.path) || title.className.includes(EXERCISE)) continue;
      title.className += ` ${EXERCISE}`;
    }
  };
  const plugin = {
    id: "carryover_controls:tabs",
    autoStart: true,
    activate: ({ restored, shell }) => {
      restored.then(() => markTabs(shell));
      shell.layoutModified.connect(() => markTabs(shell));
    },
  };
  const modules = { "./style": style, "./extension": () => plugin };
  const container = { init: () => {}, get: async (name) => modules[name] };
  window._JUPYTERLAB = { ...window._JUPYTERLAB, carryover_controls: container };

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

  // ipywidgets names no slider, tells the number of a choice instead of the choice, and lets the words beside it be
  // typed over without effect.
  const SLIDER = ".carryover-explore .widget-slider";
  const tell = (slider) => {
    const handle = slider.querySelector(".noUi-handle");
    const words = slider.querySelector(".widget-readout");
    if (!handle || !words) return;
    handle.setAttribute("aria-label", slider.querySelector(".widget-label")?.textContent ?? "");
    handle.setAttribute("aria-valuetext", words.textContent);
    words.contentEditable = "false";
  };
  const changed = (records) => {
    const sliders = new Set();
    for (const { target, addedNodes } of records) {
      for (const node of [target.closest?.(SLIDER), ...addedNodes]) {
        if (!(node instanceof Element)) continue;
        if (node.matches(SLIDER)) sliders.add(node);
        node.querySelectorAll(SLIDER).forEach((inner) => sliders.add(inner));
      }
    }
    sliders.forEach(tell);
  };
  new MutationObserver(changed).observe(document, { childList: true, subtree: true });
}
