import { element, setBox } from "./dom.js";
import { frameContains, stepFrame } from "./geometry.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const INSTRUCTIONS = "Arrows move the frame, with Shift they size it. Enter selects, Escape clears.";

// Selection by keyboard, in place of the lasso: a frame over the plot that arrow keys move and resize.
export class SelectionFrame {
  constructor(chart) {
    this.chart = chart;
    // In shares of the plot, from its upper left corner. For bars ("box") the frame is as high as the plot, because a bar
    // is selected if its end is inside the frame.
    this.frame = chart.data.select === "box" ? { x: 0.4, y: 0, w: 0.2, h: 1 } : { x: 0.4, y: 0.4, w: 0.2, h: 0.2 };
    this.area = element("div", "atesc-chart-frame-area");
    this.area.tabIndex = 0;
    this.area.setAttribute("role", "application"); // so that a screen reader passes the arrow keys to the chart
    this.area.setAttribute("aria-label", `Select in the chart. ${INSTRUCTIONS}`);
    this.outline = this.area.appendChild(element("div", "atesc-chart-frame"));
    this.area.appendChild(element("div", "atesc-chart-frame-hint")).textContent = INSTRUCTIONS;
    this.area.addEventListener("keydown", (event) => this.press(event));
    chart.root.append(this.area);
  }

  remove() {
    this.area.remove();
  }

  update() {
    this.place();
  }

  place() {
    const size = this.chart.plot._fullLayout?._size;
    if (!size) return;
    setBox(this.area, size.l, size.t, size.w, size.h);
    const { x, y, w, h } = this.frame;
    setBox(this.outline, x * size.w, y * size.h, w * size.w, h * size.h);
  }

  press(event) {
    const arrow = ARROWS[event.key];
    if (arrow) {
      this.frame = stepFrame(this.frame, arrow, event.shiftKey);
      this.place();
    } else if (event.key === "Enter" || event.key === " ") this.select();
    else if (event.key === "Escape") this.chart.selection.selectWhere(() => false);
    else return;
    event.preventDefault();
    event.stopPropagation(); // otherwise the page's keyboard shortcuts react too
  }

  select() {
    const { xaxis, yaxis } = this.chart.plot._fullLayout;
    return this.chart.selection.selectWhere((id, index, trace) =>
      frameContains(
        this.frame,
        xaxis.d2p(trace.x[index]) / xaxis._length,
        yaxis.d2p(trace.y[index]) / yaxis._length,
      ),
    );
  }
}
