// A button that copies the page's address, which contains the page's whole state. Mounted by
// pages/shared/ui/presentation.py.

const MESSAGE_MS = 2500;

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
  if (!button.dataset.message) button.textContent = data;
}

async function copy(button) {
  button.parentElement.querySelector("input")?.remove();
  try {
    await navigator.clipboard.writeText(location.href);
    showMessage(button, "Copied");
  } catch {
    showLinkField(button); // browsers deny the clipboard to a page from another machine over plain HTTP
  }
}

function showMessage(button, message) {
  button.textContent = message;
  button.dataset.message = message;
  setTimeout(() => {
    delete button.dataset.message;
    button.textContent = button.dataset.label;
  }, MESSAGE_MS);
}

function showLinkField(button) {
  const field = document.createElement("input");
  Object.assign(field, { className: "atesc-copy-link", readOnly: true, value: location.href });
  field.setAttribute("aria-label", "The page's link");
  button.after(field);
  field.select();
  showMessage(button, "Copy it here");
}
