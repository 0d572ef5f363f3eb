// Creates and positions the DOM nodes of the chart's tools.

export function element(tag, className) {
  const node = document.createElement(tag);
  node.className = className;
  return node;
}

export function setBox(node, left, top, width, height) {
  Object.assign(node.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}
