// A button that copies the page's address: the whole state of the page is in it. pages/shared/ui/presentation.py mounts it.

const SAID_MS = 2500;

export default function mount({ parentElement, data }) {
  let button = parentElement.querySelector("button");
  if (!button) {
    button = parentElement.appendChild(document.createElement("button"));
    button.type = "button";
    button.className = "atesc-copy";
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", () => copy(button));
  }
  button.dataset.label = data;
  if (!button.dataset.said) button.textContent = data;
}

async function copy(button) {
  button.parentElement.querySelector("input")?.remove();
  try {
    await navigator.clipboard.writeText(location.href);
    say(button, "Copied");
  } catch {
    offer(button); // a page that came over plain HTTP from another machine may not write to the clipboard
  }
}

function say(button, words) {
  button.textContent = words;
  button.dataset.said = words;
  setTimeout(() => {
    delete button.dataset.said;
    button.textContent = button.dataset.label;
  }, SAID_MS);
}

function offer(button) {
  const field = document.createElement("input");
  Object.assign(field, { className: "atesc-copy-link", readOnly: true, value: location.href });
  field.setAttribute("aria-label", "The page's link");
  button.after(field);
  field.select();
  say(button, "Copy it here");
}
