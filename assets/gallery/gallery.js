// Pictures that can be pressed: a button each, which tells Python its id. pages/shared/ui/gallery.py is its other half.

export default function mount({ parentElement, data, setTriggerValue }) {
  let grid = parentElement.querySelector(".atesc-gallery");
  if (!grid) grid = parentElement.appendChild(element("div", "atesc atesc-gallery"));
  grid.dataset.gallery = data.key;
  grid.style.gridTemplateColumns = `repeat(${data.columns}, 1fr)`;
  grid.style.setProperty("--sheet", `url(${data.source})`);
  grid.style.setProperty("--sheet-size", data.size);
  const focused = [...grid.children].indexOf(document.activeElement);
  grid.replaceChildren(...data.cells.map((cell) => picture(cell, data.chosen, setTriggerValue)));
  grid.children[focused]?.focus({ preventScroll: true });
}

function picture({ id, position, role, title, word }, chosen, tell) {
  const button = element("button", "atesc-picture");
  button.type = "button";
  button.title = title;
  button.setAttribute("aria-label", title);
  button.setAttribute("aria-pressed", String(id === chosen));
  button.addEventListener("click", () => tell("picked", id));
  const image = button.appendChild(element("i", ""));
  image.style.backgroundPosition = position;
  if (role) image.style.setProperty("--own", `var(--role-${role})`);
  if (word) button.appendChild(element("span", "")).textContent = word;
  return button;
}

function element(tag, name) {
  const node = document.createElement(tag);
  node.className = name;
  return node;
}
