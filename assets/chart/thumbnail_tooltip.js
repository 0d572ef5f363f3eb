import { element } from "./dom.js";
import { spritePosition, tooltipPosition } from "./geometry.js";
import { idOf } from "./points.js";

// A tooltip with the image and the caption of the point under the pointer.
export class ThumbnailTooltip {
  constructor(chart) {
    this.chart = chart;
    this.node = element("div", "atesc-chart-tip");
    this.picture = this.node.appendChild(element("div", "atesc-chart-tip-picture"));
    this.caption = this.node.appendChild(element("div", "atesc-chart-tip-caption"));
    this.node.hidden = true;
    chart.root.append(this.node);
  }

  remove() {
    this.node.remove();
  }

  update(sheet) {
    this.sheet = sheet;
  }

  show({ points: [point], event }) {
    const { sheet } = this;
    const cell = sheet.cells ? sheet.cells[idOf(point)] : idOf(point);
    this.node.hidden = !(cell < sheet.count); // hidden too if the point has no id
    if (this.node.hidden) return;
    Object.assign(this.picture.style, {
      backgroundImage: `url("${sheet.source}")`,
      backgroundSize: sheet.size,
      backgroundPosition: spritePosition(cell, sheet),
    });
    this.node.style.setProperty("--group", point.fullData.marker?.color ?? "transparent");
    this.caption.textContent = sheet.captions?.[cell] ?? "";
    this.caption.hidden = !this.caption.textContent;
    const chart = this.chart.root.getBoundingClientRect();
    const pointer = { x: event.clientX - chart.left, y: event.clientY - chart.top };
    const tooltip = { width: this.node.offsetWidth, height: this.node.offsetHeight };
    const { left, top } = tooltipPosition(pointer, tooltip, chart);
    Object.assign(this.node.style, { left: `${left}px`, top: `${top}px` });
  }

  hide() {
    this.node.hidden = true;
  }
}
