// The two places where a page speaks: what happened, and what went wrong.

const said = document.getElementById("say");
const wrong = document.getElementById("alert");

const SAID = 8000; // ms that a message stays
let timer = 0;

export function say(text) {
  clearTimeout(timer);
  said.textContent = text;
  timer = setTimeout(() => { said.textContent = ""; }, SAID);
}

export function alarm(text) {
  wrong.hidden = !text;
  wrong.textContent = text;
  if (text) said.textContent = "";
}
