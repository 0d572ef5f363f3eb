// A Plotly chart that stays in the page while Streamlit reruns the script around it.
//
// Streamlit calls the default export once per mount and again whenever the data or the theme changes.
// The first call makes a Chart on the mount's own node; later calls hand it new data, which it draws
// into the same node, so that zoom, pan and selection stay the user's.

const charts = new WeakMap();

// Halves to even, as Python writes them: the same share must not read differently beside the chart.
const PER_CENT = new Intl.NumberFormat("en", {
  minimumFractionDigits: 1, maximumFractionDigits: 1, roundingMode: "halfEven",
});

const FRAME_STEP = 0.02; // of the plot, an arrow
const FRAME_KEYS = "Arrows move the frame, with Shift they size it. Enter selects, Escape clears.";

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

// Plotly is 4.8 MB: one script tag for the whole page, however many charts and reruns.
function loadPlotly(path) {
  window.atescPlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL(path, serverRoot());
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      delete window.atescPlotly;
      reject(new Error(`The chart library could not be loaded from ${script.src}`));
    };
    document.head.append(script);
  });
  return window.atescPlotly;
}

// Streamlit's own script says where the server is, also behind a base path or a proxy.
function serverRoot() {
  const own = document.querySelector('script[type="module"][src*="static/js/"]');
  return own ? own.src.slice(0, own.src.lastIndexOf("static/js/")) : document.baseURI;
}

class Chart {
  constructor(parent) {
    this.root = element("div", "atesc-chart");
    this.plot = element("div", "atesc-chart-plot");
    this.root.append(this.plot);
    parent.append(this.root);
    this.tip = null;
    this.line = null;
    this.held = false;
    this.ids = [];
    this.onDown = () => (this.held = true);
    this.onUp = () => {
      this.held = false;
      // Plotly finishes its own gesture in the same event; draw what waited after it.
      setTimeout(() => this.draw());
    };
    this.plot.addEventListener("pointerdown", this.onDown);
    window.addEventListener("pointerup", this.onUp);
    window.addEventListener("pointercancel", this.onUp);
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.root);
  }

  receive({ data, setStateValue, setTriggerValue }) {
    const turned = this.data !== undefined && this.data.revision !== data.revision;
    this.data = data;
    this.setState = setStateValue;
    this.trigger = setTriggerValue;
    this.follow(data, turned);
    this.root.dataset.chart = data.key;
    this.root.style.height = `${data.height}px`;
    this.root.setAttribute("role", "figure");
    this.root.setAttribute("aria-label", data.label);
    this.look = readTheme(this.root);
    this.askForTheme();
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
      const { traces, layout, config } = this.figure();
      await Plotly.react(this.plot, traces, layout, config);
      this.listen();
      await this.adopt(Plotly);
      await this.followSelection(Plotly);
      this.drawThreshold();
      this.drawFrame();
      this.note?.remove();
      this.note = undefined;
      this.root.dataset.drawn = String(Number(this.root.dataset.drawn ?? 0) + 1);
    } catch (error) {
      if (!this.gone) this.fail(error);
    } finally {
      this.drawing = false;
    }
    this.gone ? this.purge() : this.draw();
  }

  figure() {
    const { data: traces, layout } = JSON.parse(this.data.figure);
    const { select, revision, height } = this.data;
    if (this.data.thumbnails?.captions) for (const trace of traces) silenceHover(trace);
    Object.assign(layout, {
      autosize: true,
      height,
      uirevision: `view ${revision}`, // never empty: Plotly takes that for "keep nothing"
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
    });
    if (layout.meta?.mode !== this.look.mode) layout.template = dress(layout.template, this.look);
    delete layout.width;
    if (select) {
      layout.clickmode = "event+select";
      layout.dragmode ??= { lasso: "lasso", box: "select" }[select];
      layout.newselection ??= { line: { color: this.look.text, width: 1.5, dash: "dot" } };
    }
    return { traces, layout, config: config(this.data) };
  }

  listen() {
    if (this.listening) return;
    this.listening = true;
    this.plot.on("plotly_selected", (event) => this.select(event?.points));
    this.plot.on("plotly_deselect", () => this.select([]));
    this.plot.on("plotly_hover", (event) => this.showTip(event));
    this.plot.on("plotly_unhover", () => this.hideTip());
    for (const name of ["plotly_afterplot", "plotly_relayouting", "plotly_relayout"])
      this.plot.on(name, () => this.placeTools());
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
    window.removeEventListener("pointerup", this.onUp);
    window.removeEventListener("pointercancel", this.onUp);
    if (!this.drawing) this.purge();
    this.root.remove();
  }

  purge() {
    window.Plotly?.purge(this.plot);
  }

  // Python drew in the colours of the theme it knew of; when the user switches, ask it once to draw again.
  askForTheme() {
    if (this.look.mode === this.data.mode) this.asked = undefined;
    else if (this.asked !== this.look.mode) {
      this.asked = this.look.mode;
      this.trigger("theme", this.look.mode);
    }
  }

  // ── selection ─────────────────────────────────────────────────────────────────────────────────

  select(points) {
    // Plotly reports its own redraws too (an event without points); only a gesture may change a selection.
    if (!this.data.select || points === undefined) return;
    this.report(points.map(idOf));
  }

  report(ids) {
    ids = [...new Set(ids)].filter((id) => id !== undefined);
    if (!sameIds(ids, this.ids)) this.tell(ids);
  }

  tell(ids) {
    this.ids = ids;
    this.at = Date.now();
    this.setState("selection", { ids, revision: this.data.revision, at: this.at });
  }

  // Python's word on what is selected counts once it has heard ours; until then it speaks of what was before.
  follow({ selected, heard }, turned) {
    if (!selected) {
      if (turned) this.report([]);
    } else if (turned || ((this.at === undefined || this.at === heard) && !sameIds(selected, this.ids))) {
      this.adopted = selected;
    }
  }

  // A selection made elsewhere: points, without a place.
  async adopt(Plotly) {
    if (!this.adopted) return;
    const wanted = new Set(this.adopted);
    this.adopted = undefined;
    if (this.plot.layout.selections?.length) await Plotly.relayout(this.plot, { selections: [] });
    this.ids = await this.mark(Plotly, wanted);
  }

  // Draw points as selected; the ids of those that there are.
  async mark(Plotly, wanted) {
    const traces = this.plot._fullData;
    const places = traces.map((trace) => pointsWhere(trace, (id) => wanted.has(id)));
    const found = places.flatMap((own, index) => own.map((at) => idAt(traces[index], at)));
    await Plotly.restyle(this.plot, { selectedpoints: found.length ? places : [null] });
    return [...new Set(found)];
  }

  // New data under an old selection. A lasso or box is a place: what lies in it now is selected. Clicked
  // points are those points, wherever they are now.
  async followSelection(Plotly) {
    if (!this.data.select || !this.ids.length) return;
    const traces = this.plot._fullData;
    const shown = traces.flatMap((trace) => (trace.selectedpoints ?? []).map((at) => idAt(trace, at)));
    if (sameIds(shown, this.ids)) return;
    if (this.plot.layout.selections?.length) return this.report(shown);
    this.report(await this.mark(Plotly, new Set(this.ids)));
  }

  // What the keys chose: points, without a place.
  async selectPoints(within) {
    const Plotly = await loadPlotly(this.data.plotly);
    const shown = this.plot._fullData.filter((trace) => trace.visible === true);
    this.adopted = shown.flatMap((trace) => pointsWhere(trace, within).map((at) => idAt(trace, at)));
    await this.adopt(Plotly);
    this.tell(this.ids);
  }

  drawFrame() {
    const { select } = this.data;
    if (!select) {
      this.frame?.remove();
      this.frame = null;
      return;
    }
    this.frame ??= new SelectionFrame(this);
    this.frame.place();
  }

  // ── pictures on hover ─────────────────────────────────────────────────────────────────────────

  showTip({ points, event }) {
    const sheet = this.data.thumbnails;
    const id = sheet && idOf(points[0]);
    const cell = sheet?.cells ? sheet.cells[id] : id;
    if (!(cell < sheet?.count)) return this.hideTip();
    this.tip ??= this.root.appendChild(tipElement());
    const [picture, caption] = this.tip.children;
    picture.style.backgroundImage = `url("${sheet.source}")`;
    picture.style.backgroundSize = sheet.size;
    picture.style.backgroundPosition = positionOf(cell, sheet);
    this.tip.style.setProperty("--group", points[0].fullData.marker?.color ?? "transparent");
    caption.textContent = sheet.captions?.[cell] ?? "";
    caption.hidden = !caption.textContent;
    this.tip.hidden = false;
    place(this.tip, this.root, event);
  }

  hideTip() {
    if (this.tip) this.tip.hidden = true;
  }

  // ── the threshold line ────────────────────────────────────────────────────────────────────────

  drawThreshold() {
    const { threshold } = this.data;
    if (!threshold) {
      this.line?.remove();
      this.line = null;
      return;
    }
    this.line ??= new ThresholdLine(this);
    this.line.receive(threshold);
  }

  placeTools() {
    this.line?.place();
    this.frame?.place();
  }
}

// The lasso of those who use the keyboard: a frame over the plot that arrows move and size.
class SelectionFrame {
  constructor(chart) {
    this.chart = chart;
    // In shares of the plot, from its upper left corner. A bar is selected by its end, so there all heights count.
    this.own = chart.data.select === "box" ? { x: 0.4, y: 0, w: 0.2, h: 1 } : { x: 0.4, y: 0.4, w: 0.2, h: 0.2 };
    this.area = element("div", "atesc-chart-frame-area");
    this.area.tabIndex = 0;
    this.area.setAttribute("role", "application"); // a screen reader leaves the arrows to the chart
    this.area.setAttribute("aria-label", `Select in the chart. ${FRAME_KEYS}`);
    this.box = this.area.appendChild(element("div", "atesc-chart-frame"));
    this.hint = this.area.appendChild(element("div", "atesc-chart-frame-hint"));
    this.hint.textContent = FRAME_KEYS;
    this.area.addEventListener("keydown", (event) => this.press(event));
    chart.root.append(this.area);
  }

  remove() {
    this.area.remove();
  }

  place() {
    const size = this.chart.plot._fullLayout?._size;
    if (!size) return;
    box(this.area, size.l, size.t, size.w, size.h);
    const { x, y, w, h } = this.own;
    box(this.box, x * size.w, y * size.h, w * size.w, h * size.h);
  }

  press(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way) this.step(way, event.shiftKey);
    else if (event.key === "Enter" || event.key === " ") this.take();
    else if (event.key === "Escape") this.chart.selectPoints(() => false);
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page has keys of its own
  }

  step([right, down], sizing) {
    const { x, y, w, h } = this.own;
    const within = (value, low, high) => Math.min(Math.max(value, low), high);
    if (sizing)
      Object.assign(this.own, {
        w: within(w + right * FRAME_STEP, FRAME_STEP, 1 - x),
        h: within(h + down * FRAME_STEP, FRAME_STEP, 1 - y),
      });
    else
      Object.assign(this.own, {
        x: within(x + right * FRAME_STEP, 0, 1 - w),
        y: within(y + down * FRAME_STEP, 0, 1 - h),
      });
    this.place();
  }

  take() {
    const { xaxis, yaxis } = this.chart.plot._fullLayout;
    const { x, y, w, h } = this.own;
    const inside = (place, from, size) => place >= from && place <= from + size;
    return this.chart.selectPoints((id, at, trace) =>
      inside(xaxis.d2p(trace.x[at]) / xaxis._length, x, w) && inside(yaxis.d2p(trace.y[at]) / yaxis._length, y, h));
  }
}

// How many of them lie at or below the line.
function atOrBelow({ values, below }, line) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] <= line) low = middle + 1;
    else high = middle;
  }
  return low && below ? below[low - 1] : low;
}

class ThresholdLine {
  constructor(chart) {
    this.chart = chart;
    this.left = element("div", "atesc-chart-side");
    this.right = element("div", "atesc-chart-side");
    this.handle = element("div", "atesc-chart-threshold");
    this.word = this.handle.appendChild(element("span", "atesc-chart-threshold-word"));
    this.handle.tabIndex = 0;
    this.handle.setAttribute("role", "slider");
    this.handle.addEventListener("pointerdown", (event) => this.grab(event));
    this.handle.addEventListener("pointermove", (event) => this.drag(event));
    this.handle.addEventListener("pointerup", () => this.drop());
    this.handle.addEventListener("pointercancel", () => this.drop());
    this.handle.addEventListener("keydown", (event) => this.press(event));
    for (const name of ["keyup", "blur"]) this.handle.addEventListener(name, () => this.release());
    chart.root.append(this.left, this.right, this.handle);
  }

  remove() {
    for (const node of [this.left, this.right, this.handle]) node.remove();
  }

  receive(threshold) {
    const changed = this.given !== threshold.value;
    this.given = threshold.value;
    this.threshold = threshold;
    this.left.style.background = threshold.left_colour;
    this.right.style.background = threshold.right_colour;
    this.handle.setAttribute("aria-label", threshold.label);
    // A tick of the page that left before the drop still carries the old value: keep what was dropped
    // until Python answers with a new one.
    const inHand = this.dragging || this.typing;
    if (!inHand && (changed || this.value === undefined)) this.value = threshold.value;
    this.place();
  }

  axis() {
    return this.chart.plot._fullLayout?.xaxis;
  }

  limits() {
    const [from, to] = this.axis().range.map((edge) => this.axis().r2d(edge));
    const { low, high } = this.threshold;
    return [Math.max(low ?? -Infinity, Math.min(from, to)), Math.min(high ?? Infinity, Math.max(from, to))];
  }

  place() {
    const axis = this.axis();
    if (!axis || this.value === undefined) return;
    const { t, h } = this.chart.plot._fullLayout._size;
    const x = Math.min(Math.max(axis.d2p(this.value), 0), axis._length);
    const from = axis._offset;
    Object.assign(this.handle.style, { left: `${from + x}px`, top: `${t}px`, height: `${h}px` });
    box(this.left, from, t, x, h);
    box(this.right, from + x, t, axis._length - x, h);
    const text = this.text();
    this.word.textContent = text;
    // Right of the line, else left of it, else as far left as the chart's end asks for.
    const width = this.word.offsetWidth + 12, room = axis._length - x - width;
    const flipped = room < 0 && x >= width;
    this.handle.classList.toggle("is-flipped", flipped);
    this.word.style.marginLeft = flipped || room >= 0 ? "" : `${room}px`;
    this.handle.setAttribute("aria-valuenow", this.value);
    this.handle.setAttribute("aria-valuetext", text);
  }

  text() {
    const { label, left, right, scores, digits, unit } = this.threshold;
    const value = `${label} ${this.value.toFixed(digits)}${unit}`;
    if (!scores) return value;
    const share = (100 * atOrBelow(scores, this.value)) / scores.total;
    return `${value} · ${left} ${PER_CENT.format(share)} % · ${right} ${PER_CENT.format(100 - share)} %`;
  }

  grab(event) {
    event.stopPropagation();
    this.handle.setPointerCapture(event.pointerId);
    this.dragging = true;
    this.before = { value: this.value, given: this.given };
    this.chart.root.classList.add("is-dragging");
  }

  drag(event) {
    if (!this.dragging) return;
    const axis = this.axis();
    const x = event.clientX - this.chart.plot.getBoundingClientRect().left - axis._offset;
    this.move(axis.p2d(x));
  }

  drop() {
    if (!this.dragging) return;
    this.dragging = false;
    this.chart.root.classList.remove("is-dragging");
    if (this.value !== this.before.value) this.report();
    else if (this.given !== this.before.given) this.move(this.given); // held, not moved: a run moved it meanwhile
  }

  press(event) {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.move(this.value + step * this.threshold.step);
    clearTimeout(this.rest);
    this.typing = true;
  }

  release() {
    if (!this.typing) return;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      this.typing = false;
      this.report();
    }, 250);
  }

  move(value) {
    const { step, digits } = this.threshold;
    const [low, high] = this.limits();
    const stepped = Math.round(Math.min(Math.max(value, low), high) / step) * step;
    this.value = Number(Math.min(Math.max(stepped, low), high).toFixed(Math.max(digits, 6)));
    this.place();
  }

  report() {
    this.chart.trigger("threshold", this.value);
  }
}

// ── small pieces ────────────────────────────────────────────────────────────────────────────────

function element(tag, name) {
  const node = document.createElement(tag);
  node.className = name;
  return node;
}

// As Thumbnails.position (chart.py) has it; of 20 000 it is needed for the one that is pointed at.
function positionOf(cell, { side, columns, rows }) {
  const step = side + 2;
  const places = [[cell % columns, columns], [Math.floor(cell / columns), rows]];
  return places.map(([own, many]) => `${(100 * (own * step + 1)) / (many * step - side)}%`).join(" ");
}

function tipElement() {
  const tip = element("div", "atesc-chart-tip");
  tip.append(element("div", "atesc-chart-tip-picture"), element("div", "atesc-chart-tip-caption"));
  return tip;
}

function box(node, left, top, width, height) {
  Object.assign(node.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}

// A point's id is its customdata, or the first of them.
function idOf(point) {
  const own = point.customdata;
  return Array.isArray(own) || ArrayBuffer.isView(own) ? own[0] : own;
}

function idAt(trace, at) {
  return idOf({ customdata: trace.customdata?.[at] });
}

function pointsWhere(trace, wanted) {
  return Array.from(trace.customdata ?? [], (_, at) => at).filter((at) => wanted(idAt(trace, at), at, trace));
}

function sameIds(some, others) {
  const left = new Set(some);
  return left.size === new Set(others).size && others.every((id) => left.has(id));
}

function silenceHover(trace) {
  if (trace.hoverinfo === "skip") return;
  delete trace.hovertemplate;
  trace.hoverinfo = "none";
}

function place(tip, root, event) {
  const frame = root.getBoundingClientRect();
  const x = event.clientX - frame.left;
  const y = event.clientY - frame.top;
  const { offsetWidth: width, offsetHeight: height } = tip;
  tip.style.left = `${x + 16 + width > frame.width ? x - 16 - width : x + 16}px`;
  tip.style.top = `${Math.min(Math.max(y - height / 2, 0), Math.max(frame.height - height, 0))}px`;
}

function config({ select, scroll_zoom }) {
  const tools = ["zoom2d", "pan2d", ...(select ? ["select2d", "lasso2d"] : [])];
  return {
    displaylogo: false,
    responsive: false, // the ResizeObserver also sees the sidebar and the columns
    scrollZoom: scroll_zoom,
    modeBarButtons: [tools, ["resetScale2d"]],
    showSendToCloud: false, // Plotly 4's "Share chart" would send it to a server of Plotly's
    plotlyServerURL: "",
  };
}

function readTheme(node) {
  const style = getComputedStyle(node);
  const read = (name) => style.getPropertyValue(`--st-${name}`).trim();
  const text = read("text-color");
  const background = read("background-color");
  return { text, background, border: read("border-color"), font: read("font"), mode: isDark(background) ? "dark" : "light" };
}

function isDark(colour) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 128;
}

// The page's colours and font go into the figure's template: what a figure sets itself still wins.
function dress(template, { text, background, border, font }) {
  const axis = { gridcolor: border, linecolor: border, tickcolor: border, zerolinecolor: border };
  const own = template?.layout ?? {};
  return {
    ...template,
    layout: {
      ...own,
      font: { ...own.font, family: font, color: text },
      xaxis: { ...own.xaxis, ...axis, automargin: true },
      yaxis: { ...own.yaxis, ...axis, automargin: true },
      legend: { ...own.legend, bgcolor: "rgba(0,0,0,0)" },
      modebar: { ...own.modebar, bgcolor: "rgba(0,0,0,0)", color: `${border}`, activecolor: text },
      hoverlabel: { ...own.hoverlabel, bgcolor: background, bordercolor: border, font: { family: font, color: text } },
    },
  };
}
