// Images as buttons: a click reports the image's id to Python. Mounted by pages/shared/ui/gallery.py.

export default function mount({ parentElement, data, setTriggerValue }) {
  let grid = parentElement.querySelector(".atesc-gallery");
  if (!grid) grid = parentElement.appendChild(element("div", "atesc atesc-gallery"));
  grid.dataset.gallery = data.key;
  grid.style.gridTemplateColumns = `repeat(${data.columns}, 1fr)`;
  grid.style.setProperty("--sheet", `url(${data.source})`);
  grid.style.setProperty("--sheet-size", data.size);
  const focused = [...grid.children].indexOf(document.activeElement);
  grid.replaceChildren(...data.cells.map((cell) => imageButton(cell, data.chosen, setTriggerValue)));
  grid.children[focused]?.focus({ preventScroll: true });
}

function imageButton({ id, position, role, title, caption }, chosen, report) {
  const button = element("button", "atesc-picture");
  button.type = "button";
  button.title = title;
  button.setAttribute("aria-label", title);
  button.setAttribute("aria-pressed", String(id === chosen));
  button.addEventListener("click", () => report("picked", id));
  const image = button.appendChild(element("i", ""));
  image.style.backgroundPosition = position;
  if (role) image.style.setProperty("--own", `var(--role-${role})`);
  if (caption) button.appendChild(element("span", "")).textContent = caption;
  return button;
}

function element(tag, name) {
  const node = document.createElement(tag);
  node.className = name;
  return node;
}
