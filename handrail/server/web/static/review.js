// The card: keys, the seat, the verdict, and the next card at once.

import { paintTimes, told } from "./clock.js";
import { Guard } from "./guard.js";
import { helpOpen, keysOn, typing } from "./help.js";
import { watch } from "./live.js";
import { alarm, say } from "./say.js";
import { Problem, fetchPage, post } from "./send.js";
import { offer, onUndone, undo } from "./undo.js";
import { has, t } from "./words.js";

const AHEAD = 3; // cards fetched ahead
const SIT = 200; // ms in view after which the seat is taken: going through cards takes none
const RENEW = 20_000; // ms after which it is renewed
const IDLE = 600_000; // ms without a sign of the person after which it is left to lapse

const guard = new Guard();
const pages = new Map(); // review → promise of its page
let card = null; // what the page says of the card in view
let token = null; // of the seat at the card in view
let seatless = ""; // why there is no seat
let sitting = Promise.resolve(null); // the seat at the card in view, once it is taken or refused
const sending = new Set(); // reviews whose answer is on its way
let left = new Set(); // decided or handed on here; not to come up again by itself
let active = performance.now();

export function startReview() {
  addEventListener("keydown", press);
  for (const sign of ["keydown", "pointerdown", "pointermove"]) {
    addEventListener(sign, () => { active = performance.now(); }, { passive: true });
  }
  document.addEventListener("submit", submitted);
  document.addEventListener("click", clicked);
  document.addEventListener("toggle", opened, true);
  addEventListener("popstate", () => go(location.pathname, { push: false }));
  onUndone((review) => {
    left.delete(review);
    pages.delete(review);
    go(`/reviews/${review}`, { fresh: true, keep: true });
  });
  setInterval(renew, RENEW);
  watch(happened);
  painted();
}

// ---------------------------------------------------------------------------- the card in view

function painted() {
  const root = document.querySelector("article.card");
  card = JSON.parse(document.getElementById("data").textContent);
  paintTimes(root);
  for (const part of root.querySelectorAll("[data-key]:not(:has(> .edge))")) {
    const edge = document.createElement("span");
    edge.className = "edge";
    part.append(edge);
  }
  for (const box of root.querySelectorAll("label.read")) box.hidden = true;
  // The server says what is wrong with a value, beside the form and in the policy's words.
  for (const form of root.querySelectorAll("#edit form")) form.noValidate = true;
  for (const act of root.querySelectorAll("details.act[data-wanted]")) {
    if (document.getElementById("alert").textContent) act.open = true;
  }
  hold();
  token = null;
  seatless = "";
  guard.show(root);
  const shown = card;
  sitting = Promise.resolve(null);
  if (card.status === "open" && card.decides) {
    sitting = new Promise((done) => setTimeout(() => sit(shown).then(done, () => done(null)), SIT));
  }
  afterPaint(() => { if (shown === card) fetchAhead(); });
}

// What can wait until the card is on the screen: its pages are read while the person reads.
function afterPaint(work) {
  requestAnimationFrame(() => setTimeout(work));
}

function fetchAhead() {
  for (const review of upcoming().slice(0, AHEAD)) prefetch(review);
}

// Approve waits for what is cut to be opened.
function hold() {
  const closed = unread();
  for (const button of document.querySelectorAll("#approve button, #edit .panel button")) {
    button.setAttribute("aria-disabled", String(closed !== null));
  }
  for (const box of document.querySelectorAll("input[name=read]")) box.checked = closed === null;
}

function unread() {
  return document.querySelector(".facts-first details[data-full]:not([data-opened])");
}

function opened(event) {
  const fold = event.target;
  if (!(fold instanceof HTMLDetailsElement) || !fold.open) return;
  if (fold.matches("[data-full]")) {
    fold.dataset.opened = "";
    hold();
  }
  if (fold.matches(".act") && !fold.contains(document.activeElement.closest(".panel"))) enter(fold);
}

// Put the person where a panel begins: at its choices, or at its first field.
function enter(fold) {
  const field = fold.querySelector("input:not([type=hidden]):not([type=checkbox]), select, textarea");
  const choice = fold.querySelector("[data-digit]");
  const wanted = fold.id === "edit" ? field ?? choice : choice ?? field;
  wanted?.focus();
  if (wanted?.select) wanted.select();
}

function upcoming() {
  const names = card.queue;
  const at = names.indexOf(card.review);
  const round = at < 0 ? names : [...names.slice(at + 1), ...names.slice(0, at)];
  return round.filter((review) => !left.has(review) && review !== card.review);
}

// ---------------------------------------------------------------------------- the seat

// Answers the seat: its token, or why there is none. The card may be gone from view by then.
async function sit(shown) {
  if (shown !== card || document.visibilityState !== "visible") return null;
  let seat;
  try {
    const taken = await post(`/reviews/${shown.review}/seat`, {});
    seat = { token: taken.token, why: "" };
    if (shown === card && taken.digest !== shown.digest) await repaint(t("moved"));
  } catch (error) {
    // Who cannot be asked for a seat may still vote without one; the server decides.
    const told = error instanceof Problem && error.status < 500 && error.status !== 401;
    seat = { token: null, why: told ? error.message : "" };
  }
  if (shown === card) {
    token = seat.token;
    seatless = seat.why;
    if (seatless) say(t("no_seat", { text: seatless }));
  }
  return seat;
}

function renew() {
  if (!card || card.status !== "open" || !card.decides || sending.has(card.review)) return;
  if (document.visibilityState !== "visible" || performance.now() - active > IDLE) return;
  sitting = sit(card);
}

// ---------------------------------------------------------------------------- other pages

function prefetch(review) {
  if (!pages.has(review)) {
    const page = fetchPage(`/reviews/${review}`);
    page.catch(() => pages.delete(review));
    pages.set(review, page);
  }
  return pages.get(review);
}

// Another card instead of this one, without losing the page around it.
async function go(path, { push = true, fresh = false, keep = false } = {}) {
  const review = path.split("/").at(-1);
  let page;
  try {
    page = await (fresh ? fetchPage(path) : prefetch(review));
  } catch (error) {
    if (error instanceof Problem) location.assign(path);
    else alarm(t("offline"));
    return;
  }
  pages.delete(review);
  if (!keep) alarm("");
  const main = document.getElementById("main");
  main.replaceChildren(...document.adoptNode(page.getElementById("main")).childNodes);
  document.title = page.title;
  if (push) history.pushState(null, "", path);
  painted();
  scrollTo(0, 0);
  document.getElementById("what").focus({ preventScroll: true });
}

// The card in view as it stands there, with what was typed; calling it puts it back.
function kept() {
  const main = document.getElementById("main");
  const nodes = [...main.childNodes];
  const title = document.title;
  const path = location.pathname;
  return () => {
    main.replaceChildren(...nodes);
    document.title = title;
    if (location.pathname !== path) history.pushState(null, "", path);
    scrollTo(0, 0);
    painted();
    document.getElementById("what").focus({ preventScroll: true });
  };
}

// The same card as it is now.
async function repaint(text) {
  if (text) alarm(text);
  guard.hide();
  await go(`/reviews/${card.review}`, { push: false, fresh: true, keep: true });
}

function onward() {
  const [review] = upcoming();
  return review ? `/reviews/${review}` : null;
}

async function happened(events) {
  for (const event of events) pages.delete(event.review);
  const mine = events.filter((event) => event.review === card.review)
    .filter((event) => !(token && event.type === "review.claimed"));
  // What was decided here is known here.
  const others = events.some((event) => event.type.startsWith("review.")
    && event.review !== card.review && !left.has(event.review));
  if ((mine.length || others) && !sending.size) {
    const before = card;
    let page;
    try {
      page = await fetchPage(`/reviews/${card.review}`);
    } catch {
      return;
    }
    if (before !== card || sending.size) return;
    const data = JSON.parse(page.getElementById("data").textContent);
    card.queue = data.queue;
    if (data.digest !== card.digest || data.status !== card.status) {
      const verdict = page.getElementById("verdict");
      pages.set(card.review, Promise.resolve(page));
      await go(`/reviews/${card.review}`, { push: false, keep: true });
      alarm(verdict ? t("closed") : t("moved"));
      return;
    }
    if (mine.length && seatless) sitting = sit(card);
  }
  fetchAhead();
}

// ---------------------------------------------------------------------------- keys and buttons

const PANELS = { e: "edit", r: "reject", 3: "reject", x: "escalate", h: "snooze", m: "assign", c: "comment", q: "ask" };
const DECIDING = new Set(["a", "1", "e", "r", "3"]);

function press(event) {
  if (helpOpen()) return;
  const open = document.querySelector("details.act[open]");
  if (event.key === "Escape" && open) {
    open.open = false;
    open.querySelector("summary").focus();
    return;
  }
  if (open && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    const buttons = [...open.querySelectorAll("form button")];
    if (buttons.length === 1) buttons[0].click();
    else buttons[0]?.focus();
    return;
  }
  if (event.key === "Enter" && event.target instanceof HTMLInputElement && open?.contains(event.target)
    && open.querySelectorAll("[data-digit]").length > 1) {
    // Enter in a field would press the first reason unseen.
    event.preventDefault();
    open.querySelector("[data-digit]").focus();
    return;
  }
  if ((event.key === "Enter" || event.key === " ") && event.target instanceof HTMLButtonElement
    && event.repeat && event.target.closest(".acts")) {
    event.preventDefault();
    return;
  }
  if (typing(event) || !keysOn()) return;
  const key = event.key.toLowerCase();
  if (open && /^[1-9]$/.test(key)) {
    event.preventDefault();
    // Only where the choices are in front of the person: not while a value is being typed.
    const inside = open.querySelector(".panel").contains(document.activeElement);
    if (inside && guard.fresh(event)) open.querySelector(`[data-digit="${key}"]`)?.click();
    return;
  }
  if (key === "j" || key === "arrowdown" && event.shiftKey) return follow("next", event);
  if (key === "k" || key === "arrowup" && event.shiftKey) return follow("previous", event);
  if (!guard.fresh(event)) return;
  if (key === "z") return void undo();
  if (key === "n") {
    scrollOn();
    return;
  }
  if (DECIDING.has(key) || key in PANELS) {
    event.preventDefault();
    if (DECIDING.has(key) && !counts(key === "a" || key === "1")) return;
    const panel = PANELS[key];
    if (panel) unfold(panel);
    else approve();
  }
}

function unfold(name) {
  const panel = document.getElementById(name);
  if (!panel) {
    if (name === "edit") say(t("not_here"));
    return;
  }
  panel.open = true;
  enter(panel); // at once: what is typed next belongs there
}

function approve() {
  const form = document.getElementById("approve");
  if (form) form.querySelector("button").click();
  else if (document.getElementById("edit")) say(t("in_command"));
}

function follow(id, event) {
  event.preventDefault();
  if (event.repeat && !guard.settled) return;
  if (id === "next") {
    const path = onward();
    if (path) go(path);
    else say(t("nothing_next"));
  } else {
    const link = document.getElementById("previous");
    if (link) go(link.getAttribute("href"));
  }
}

function scrollOn() {
  const unseen = guard.unseen;
  if (unseen) unseen.scrollIntoView({ block: "center" });
  else scrollBy({ top: innerHeight * 0.7 });
}

// Whether a decision counts now; says why not.
function counts(approves) {
  if (card.status !== "open") return false;
  if (sending.has(card.review)) return false;
  if (!guard.settled) {
    say(t("soon"));
    return false;
  }
  if (approves && unread()) {
    say(t("read"));
    unread().querySelector("summary").focus();
    return false;
  }
  if (guard.unseen) {
    say(t("unseen"));
    return false;
  }
  return true;
}

function clicked(event) {
  const link = event.target.closest?.("a#next, a#previous");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    event.preventDefault();
    if (link.id === "next") follow("next", event);
    else go(link.getAttribute("href"));
  }
}

// ---------------------------------------------------------------------------- acts

async function submitted(event) {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.dataset.act) return;
  event.preventDefault();
  if (sending.has(card.review)) return;
  // What cannot be read as a number or a day would be sent as nothing, which takes a value away.
  const unreadable = [...form.elements].find((field) => field.validity?.badInput);
  if (unreadable) {
    unreadable.reportValidity();
    return;
  }
  const deciding = form.dataset.act === "verdict";
  const fields = new FormData(form, event.submitter);
  if (deciding && !counts(fields.get("said") !== "reject")) return;
  if (deciding && seatless) {
    alarm(t("no_seat", { text: seatless }));
    return;
  }
  const shown = card;
  const what = document.getElementById("what").textContent.trim().slice(0, 120);
  if (deciding && guard.seconds !== null) fields.set("seconds", guard.seconds.toFixed(3));
  sending.add(shown.review);
  alarm("");
  say(t("sending"));
  const answer = send(form, fields, deciding ? sitting : null);
  // The next card is shown at once; an answer that was not counted brings this one back.
  const path = form.dataset.act === "stay" || fields.get("said") === "edit" ? null : onward();
  const back = path && kept();
  let ahead = Promise.resolve();
  if (path) {
    left.add(shown.review);
    ahead = go(path);
  }
  try {
    const done = await answer;
    await ahead;
    sending.delete(shown.review);
    await finish(form, fields, shown, done, what, path);
  } catch (error) {
    await ahead;
    sending.delete(shown.review);
    await refused(error, form, shown, back);
  }
}

// The form, once the seat that it needs is taken.
async function send(form, fields, sitting) {
  const seat = await sitting;
  if (seat?.why) throw new Problem(409, { detail: t("no_seat", { text: seat.why }) });
  if (seat?.token) fields.set("token", seat.token);
  return post(form.getAttribute("action"), fields);
}

async function finish(form, fields, shown, done, what, path) {
  const name = form.getAttribute("action").split("/").at(-1);
  if (form.dataset.act === "stay") {
    await repaint("");
    say(t(name === "ask" ? "flash.ask" : "flash.comment"));
    return;
  }
  left.add(shown.review);
  const did = name !== "verdict" ? name : done.decided ? fields.get("said") : "waits";
  const was = done.undo_until ? shown.review : "";
  if (path === null) {
    const next = onward();
    if (!next) {
      location.assign(`/?did=${did}&was=${was}`);
      return;
    }
    await go(next);
  }
  if (done.undo_until) offer(shown.review, done.verdict, what, done.undo_until);
  say(has(`flash.${did}`) ? t(`flash.${did}`) : "", { beside: Boolean(done.undo_until) });
}

// The field of a form that a pointer leads to: /edits/plan/days is plan.days.
function fieldAt(pointer) {
  return pointer.split("/").slice(1).join(".").replace(/^edits\.?/, "");
}

// What is wrong, each with its field as the policy names it.
function each(error) {
  const said = error.problems.map(({ pointer, message }) => [fieldAt(pointer), message]);
  return said.length ? said.map((parts) => parts.filter(Boolean).join(" ")).join("; ") : error.message;
}

async function refused(error, form, shown, back) {
  left.delete(shown.review);
  const known = error instanceof Problem;
  const winner = known ? error.winner : null;
  let text = known ? each(error) : t("unsure");
  if (winner?.verdict) {
    text = t("winner", { verdict: t(`verdict.${winner.verdict}`), name: winner.by ?? "", time: told(winner.at ?? "") });
  }
  text = known && error.status === 409 ? t("lost", { text }) : known ? t("failed", { text }) : text;
  say("");
  if (!known || error.status !== 409) {
    // The form stays, or comes back, as it was filled in: also where nothing can be fetched.
    back?.();
    const place = `/sign-in?next=${encodeURIComponent(`/reviews/${shown.review}`)}`;
    alarm(text, known && error.status === 401 ? { href: place, text: t("sign_in") } : null);
    if (known) form.elements.namedItem(`edit:${fieldAt(error.pointer)}`)?.focus();
    return;
  }
  pages.delete(shown.review);
  await go(`/reviews/${shown.review}`, { fresh: true, keep: true, push: location.pathname !== `/reviews/${shown.review}` });
  alarm(text);
}

