// Forms and pages by fetch. What a form says without scripts it says with them.

import { t } from "./words.js";

export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || document.title || String(status));
    this.status = status;
    this.winner = document.winner || null;
    this.pointer = document.pointer || "";
    this.problems = document.problems || [];
  }
}

// Where the server does not answer, `fetch` throws a TypeError: that is not a Problem.
export async function post(path, fields) {
  const body = new URLSearchParams(fields);
  const token = document.body.dataset.csrf;
  if (token && !body.has("csrf_token")) body.set("csrf_token", token);
  const answer = await fetch(path, {
    method: "POST",
    body,
    headers: { accept: "application/json" },
    credentials: "same-origin",
    keepalive: true,
  });
  const type = answer.headers.get("content-type") || "";
  const value = type.includes("json") ? await answer.json() : {};
  if (answer.status === 401) throw signedOut();
  if (!answer.ok) throw new Problem(answer.status, value);
  return value;
}

// Another page of the desk as a document. Looking changes nothing and takes no seat.
export async function fetchPage(path) {
  const answer = await fetch(path, { headers: { accept: "text/html" }, credentials: "same-origin" });
  // Who is signed out is sent to the page for signing in, which is not the page that was asked for.
  if (answer.status === 401 || new URL(answer.url).pathname === "/sign-in") throw signedOut();
  if (!answer.ok) throw new Problem(answer.status, {});
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function signedOut() {
  return new Problem(401, { detail: t("signed_out") });
}
