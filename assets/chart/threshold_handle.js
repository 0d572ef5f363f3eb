import { element, setBox } from "./dom.js";
import { thresholdText, withoutLastPart } from "./format.js";
import { clamp, labelPosition, roundToStep } from "./geometry.js";

const KEY_STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
const KEYS_REST_MS = 250; // time between the release of the last key and the report

// The vertical line that the user moves along the x axis, by dragging or by keys. It reports its value at the end of a
// move.
export class ThresholdHandle {
  constructor(chart) {
    this.chart = chart;
    this.left = element("div", "atesc-chart-side");
    this.right = element("div", "atesc-chart-side");
    this.handle = element("div", "atesc-chart-threshold");
    this.label = this.handle.appendChild(element("span", "atesc-chart-threshold-label"));
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

  update(options) {
    const changed = this.received !== options.value;
    this.received = options.value;
    this.options = options;
    this.left.style.background = options.left_colour;
    this.right.style.background = options.right_colour;
    this.handle.setAttribute("aria-label", options.label);
    // An update that the server sent before the user's last move still has the old value. So the user's value stays
    // until Python sends another value.
    const inHand = this.dragging || this.typing;
    if (!inHand && (changed || this.value === undefined)) this.value = options.value;
    this.place();
  }

  get axis() {
    return this.chart.plot._fullLayout?.xaxis;
  }

  place() {
    const { axis } = this;
    if (!axis || this.value === undefined) return;
    const { t, h } = this.chart.plot._fullLayout._size;
    const x = clamp(axis.d2p(this.value), 0, axis._length);
    const start = axis._offset;
    Object.assign(this.handle.style, { left: `${start + x}px`, top: `${t}px`, height: `${h}px` });
    setBox(this.left, start, t, x, h);
    setBox(this.right, start + x, t, axis._length - x, h);
    const text = thresholdText(this.options, this.value);
    this.label.textContent = text;
    if (this.label.offsetWidth > this.chart.plot.clientWidth) this.label.textContent = withoutLastPart(text);
    const { flipped, shift } = labelPosition(x, axis._length, this.label.offsetWidth, start);
    this.handle.classList.toggle("is-flipped", flipped);
    this.label.style.marginLeft = shift ? `${shift}px` : "";
    this.handle.setAttribute("aria-valuenow", this.value);
    this.handle.setAttribute("aria-valuetext", text);
  }

  grab(event) {
    event.stopPropagation();
    this.handle.setPointerCapture(event.pointerId);
    this.dragging = true;
    this.before = { value: this.value, received: this.received };
    this.chart.root.classList.add("is-dragging");
  }

  drag(event) {
    if (!this.dragging) return;
    const x = event.clientX - this.chart.plot.getBoundingClientRect().left - this.axis._offset;
    this.move(this.axis.p2d(x));
  }

  drop() {
    if (!this.dragging) return;
    this.dragging = false;
    this.chart.root.classList.remove("is-dragging");
    if (this.value !== this.before.value) this.report();
    else if (this.received !== this.before.received) this.move(this.received); // only Python has moved it meanwhile
  }

  press(event) {
    const steps = KEY_STEPS[event.key];
    if (!steps) return;
    event.preventDefault();
    this.move(this.value + steps * this.options.step);
    clearTimeout(this.rest);
    this.typing = true;
  }

  release() {
    if (!this.typing) return;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      this.typing = false;
      this.report();
    }, KEYS_REST_MS);
  }

  move(value) {
    const { low, high } = this.options;
    const [from, to] = this.axis.range.map((edge) => this.axis.r2d(edge));
    const limits = [Math.max(low ?? -Infinity, Math.min(from, to)), Math.min(high ?? Infinity, Math.max(from, to))];
    this.value = roundToStep(value, limits, this.options);
    this.place();
  }

  report() {
    this.chart.trigger("threshold", this.value);
  }
}
