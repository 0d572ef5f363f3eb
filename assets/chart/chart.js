// A Plotly chart that keeps its DOM node while Streamlit reruns the page's script.
//
// Streamlit calls the default export when it mounts the component, and again when the data or the theme changes.
// The first call creates a Chart in the component's node. Later calls pass new data to this Chart, which draws
// into the same node: so the user's zoom, pan and selection stay.
//
// Streamlit accepts a component's JavaScript only as one text. pages/shared/ui/javascript.py joins this module and
// the modules that it imports, so top-level names must be unique within this folder.

import { element } from "./dom.js";
import { plotlyFigure, readTheme } from "./figure.js";
import { Selection } from "./selection.js";
import { SelectionFrame } from "./selection_frame.js";
import { ThresholdHandle } from "./threshold_handle.js";
import { ThumbnailTooltip } from "./thumbnail_tooltip.js";

// Tools over the plot. A tool exists while the data has a value for its key. The Tab key visits them in this order.
const TOOLS = { threshold: ThresholdHandle, select: SelectionFrame, thumbnails: ThumbnailTooltip };

const charts = new WeakMap();

export default function mount(component) {
  const { parentElement } = component;
  if (!charts.has(parentElement)) charts.set(parentElement, new Chart(parentElement));
  const chart = charts.get(parentElement);
  chart.receive(component);
  return () => {
    chart.destroy();
    charts.delete(parentElement);
  };
}

// Plotly is 4.8 MB, so all charts of the page share one script tag.
function loadPlotly(path) {
  window.atescPlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(path, serverRoot());
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => {
      delete window.atescPlotly;
      reject(new Error(`The chart library could not be loaded from ${script.src}`));
    });
    document.head.append(script);
  });
  return window.atescPlotly;
}

// The server's root address, from the address of Streamlit's script: so it is right behind a base path or a proxy too.
function serverRoot() {
  const script = document.querySelector('script[type="module"][src*="static/js/"]');
  return script ? script.src.slice(0, script.src.lastIndexOf("static/js/")) : document.baseURI;
}

class Chart {
  constructor(parent) {
    this.root = element("div", "atesc-chart");
    this.plot = element("div", "atesc-chart-plot");
    this.root.append(this.plot);
    parent.append(this.root);
    this.selection = new Selection(this);
    this.tools = {};
    this.held = false;
    this.onDown = () => (this.held = true);
    this.onUp = () => {
      this.held = false;
      // Plotly handles the same event to finish its gesture, so the waiting draw must come after it.
      setTimeout(() => this.draw());
    };
    this.onTouch = (event) => this.root.classList.toggle("is-touched", this.root.contains(event.target));
    this.plot.addEventListener("pointerdown", this.onDown);
    window.addEventListener("pointerdown", this.onTouch);
    window.addEventListener("pointerup", this.onUp);
    window.addEventListener("pointercancel", this.onUp);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.root);
  }

  receive({ data, setStateValue, setTriggerValue }) {
    const revisionChanged = this.data !== undefined && this.data.revision !== data.revision;
    this.data = data;
    this.setState = setStateValue;
    this.trigger = setTriggerValue;
    this.selection.receive(data, revisionChanged);
    this.root.dataset.chart = data.key;
    this.root.style.height = `${data.height}px`;
    this.root.setAttribute("role", "figure");
    this.root.setAttribute("aria-label", data.label);
    this.theme = readTheme(this.root);
    this.requestTheme();
    this.waiting = true;
    this.draw();
  }

  async draw() {
    if (!this.waiting || this.drawing || this.held || !this.root.clientWidth) return;
    this.waiting = false;
    this.drawing = true;
    try {
      const Plotly = await loadPlotly(this.data.plotly);
      if (this.gone) return;
      const { traces, layout, config } = plotlyFigure(this.data, this.theme);
      await Plotly.react(this.plot, traces, layout, config);
      this.listen();
      await this.selection.redraw();
      this.updateTools();
      this.note?.remove();
      this.note = undefined;
      this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
    } catch (error) {
      if (!this.gone) this.fail(error);
    } finally {
      this.drawing = false;
    }
    if (this.gone) this.purge();
    else this.draw();
  }

  listen() {
    if (this.listening) return;
    this.listening = true;
    this.plot.on("plotly_selected", (event) => this.selection.takeGesture(event?.points));
    this.plot.on("plotly_deselect", () => this.selection.takeGesture([]));
    this.plot.on("plotly_hover", (event) => this.tools.thumbnails?.show(event));
    this.plot.on("plotly_unhover", () => this.tools.thumbnails?.hide());
    for (const name of ["plotly_afterplot", "plotly_relayouting", "plotly_relayout"])
      this.plot.on(name, () => this.placeTools());
  }

  updateTools() {
    for (const [key, Tool] of Object.entries(TOOLS)) {
      if (this.data[key]) {
        this.tools[key] ??= new Tool(this);
        this.tools[key].update(this.data[key]);
      } else {
        this.tools[key]?.remove();
        delete this.tools[key];
      }
    }
  }

  placeTools() {
    this.tools.threshold?.place();
    this.tools.select?.place();
  }

  resize() {
    if (this.waiting) this.draw();
    if (!this.listening || !this.root.clientWidth || this.width === this.root.clientWidth) return;
    this.width = this.root.clientWidth;
    window.Plotly.Plots.resize(this.plot);
  }

  fail(error) {
    console.error(error);
    this.note ??= this.root.appendChild(element("p", "atesc-chart-error"));
    this.note.textContent = error.message;
  }

  destroy() {
    this.gone = true;
    this.sizes.disconnect();
    window.removeEventListener("pointerdown", this.onTouch);
    window.removeEventListener("pointerup", this.onUp);
    window.removeEventListener("pointercancel", this.onUp);
    if (!this.drawing) this.purge();
    this.root.remove();
  }

  purge() {
    window.Plotly?.purge(this.plot);
  }

  // The figure has the colours of the theme when Python drew it. After a change of theme, request one new drawing.
  requestTheme() {
    if (this.theme.mode === this.data.mode) this.requestedTheme = undefined;
    else if (this.requestedTheme !== this.theme.mode) {
      this.requestedTheme = this.theme.mode;
      this.trigger("theme", this.theme.mode);
    }
  }
}
