// The list of keys, and whether single keys act at all.

const STORED = "handrail.keys";

export function keysOn() {
  return localStorage.getItem(STORED) !== "off";
}

// Whether somebody is typing, so that a letter is a letter.
export function typing(event) {
  const at = event.target;
  return event.ctrlKey || event.metaKey || event.altKey || event.isComposing
    || (at instanceof HTMLElement && (at.isContentEditable || /^(TEXTAREA|SELECT)$/.test(at.tagName)
      || (at.tagName === "INPUT" && !/^(checkbox|radio|button|submit)$/.test(at.type))));
}

export function startHelp() {
  const dialog = document.getElementById("help");
  const button = document.getElementById("keys");
  if (!dialog) return;
  button.hidden = false;
  button.addEventListener("click", () => dialog.showModal());
  const box = document.getElementById("keys-on");
  box.checked = keysOn();
  box.addEventListener("change", () => localStorage.setItem(STORED, box.checked ? "on" : "off"));
  addEventListener("keydown", (event) => {
    if (event.key === "?" && !event.repeat && !typing(event) && !dialog.open) {
      event.preventDefault();
      dialog.showModal();
    }
  });
}

export function helpOpen() {
  return Boolean(document.getElementById("help")?.open);
}
