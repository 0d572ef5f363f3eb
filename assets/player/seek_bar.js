// The seek bar of a replay. While playing, it advances the position between two updates from the server. Updates do not
// move the handle while the user holds it. Only a drag reports a position to Python.

const bars = new WeakMap();
const ANSWER_MS = 2000; // how long the user's position stays without an answer from the server

export default function mount(component) {
  const { parentElement } = component;
  if (!bars.has(parentElement)) bars.set(parentElement, new SeekBar(parentElement));
  const bar = bars.get(parentElement);
  bar.receive(component);
  return () => {
    bar.destroy();
    bars.delete(parentElement);
  };
}

class SeekBar {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "atesc-seek-bar";
    this.input = this.root.appendChild(document.createElement("input"));
    this.label = this.root.appendChild(document.createElement("output"));
    Object.assign(this.input, { type: "range", min: 0, step: 0.1 });
    this.input.setAttribute("aria-label", "Seconds of each run");
    this.input.addEventListener("input", () => this.drag());
    this.input.addEventListener("change", () => this.drop());
    parent.append(this.root);
  }

  receive({ data, setTriggerValue }) {
    this.trigger = setTriggerValue;
    const answered = !this.dropped || data.seeks !== this.dropped.seeks || performance.now() > this.dropped.until;
    this.data = data;
    this.input.max = data.end;
    if (this.held || !answered) return;
    this.dropped = undefined;
    this.start = { seconds: data.position, at: performance.now() };
    this.draw();
  }

  draw() {
    cancelAnimationFrame(this.frame);
    if (this.held || this.dropped) return;
    const { playing, speed, end } = this.data;
    const played = playing ? ((performance.now() - this.start.at) / 1000) * speed : 0;
    this.show(Math.min(this.start.seconds + played, end));
    if (playing) this.frame = requestAnimationFrame(() => this.draw());
  }

  show(seconds) {
    this.input.value = seconds;
    this.writeLabel(seconds);
  }

  writeLabel(seconds) {
    const text = `${Math.floor(seconds + 1e-6)} s of ${Math.round(this.data.end)} s`;
    if (this.label.textContent !== text) this.label.textContent = text;
    this.input.setAttribute("aria-valuetext", text);
  }

  drag() {
    this.held = true;
    this.writeLabel(Number(this.input.value));
  }

  drop() {
    this.held = false;
    this.dropped = { seeks: this.data.seeks, until: performance.now() + ANSWER_MS };
    this.trigger("seek", Number(this.input.value));
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    this.root.remove();
  }
}
