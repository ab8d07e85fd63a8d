// A prebuilt extension of JupyterLab, written by hand: `course lab` points JupyterLab at it. It has one module, a
// style sheet, and JupyterLab fetches that when it asks for "./style".
{
  const sheet = new URL("font.css", document.currentScript.src).href;
  const style = () => {
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href: sheet }));
    return {};
  };
  window._JUPYTERLAB = { ...window._JUPYTERLAB, carryover_hanzi: { init: () => {}, get: async () => style } };
}
