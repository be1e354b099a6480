// The two places where a page speaks: what happened, and what went wrong.

const said = document.getElementById("say");
const wrong = document.getElementById("alert");

const SAID = 8000; // ms that a message stays
let timer = 0;

// `beside`: it stands on the page already, and is only to be heard.
export function say(text, { beside = false } = {}) {
  clearTimeout(timer);
  said.toggleAttribute("data-beside", beside);
  said.textContent = text;
  timer = setTimeout(() => { said.textContent = ""; }, SAID);
}

// `link`: where to go about it, and what that is called.
export function alarm(text, link = null) {
  wrong.hidden = !text;
  wrong.textContent = text;
  if (link) {
    const way = document.createElement("a");
    way.href = link.href;
    way.textContent = link.text;
    wrong.append(" ", way);
  }
  if (text) said.textContent = "";
}
