"use strict";

// The key comes in the fragment of the address or from the form; it is kept for this tab only.
const store = window.sessionStorage;
const byId = (id) => document.getElementById(id);
const rows = document.querySelector("#jobs tbody");
let older = null;

function takeKeyFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!found) return;
  store.setItem("key", found);
  history.replaceState(null, "", location.pathname + location.search);
}

async function page(cursor) {
  const query = new URLSearchParams({ limit: "50", ...(cursor ? { cursor } : {}) });
  const answer = await fetch(`v1/jobs?${query}`, { headers: { Authorization: `Bearer ${store.getItem("key")}` } });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.detail || body.title), { status: answer.status });
  return body;
}

// Everything of a job is a stranger's text: it goes in as text, never as markup.
function cell(row, text, className) {
  const td = row.insertCell();
  td.textContent = text ?? "";
  if (className) td.className = className;
  return td;
}

function add(parent, name, text) {
  const part = document.createElement(name);
  part.textContent = text;
  parent.append(part);
}

// A state that something speaks against, or an end whose outputs are missing or not confirmed, has not its usual colour.
function doubts(job) {
  return [
    job.doubt && `doubt: ${job.doubt.reason}`,
    job.outputs_unchecked && `outputs: ${job.outputs_unchecked}`,
    job.outputs_ok === false && "outputs: missing or other files",
  ].filter(Boolean);
}

function state(row, job) {
  const late = job.submission && job.submission.overdue ? " overdue" : "";
  const uncertain = doubts(job);
  const plain = /^\w+$/.test(job.state ?? "") && uncertain.length === 0 ? job.state : "";
  const td = cell(row, "", `${plain}${uncertain.length ? "uncertain" : ""}${late}`);
  add(td, "b", job.state ?? "unknown");
  uncertain.forEach((what) => add(td, "mark", what));
  if (job.state === "Failed") add(td, "small", [job.code, job.message].filter(Boolean).join(": "));
}

function outputs(row, job) {
  const td = cell(row, "");
  for (const output of job.outputs) {
    const line = document.createElement("div");
    line.textContent = output.object;
    if (output.role) add(line, "small", output.role);
    td.append(line);
  }
}

function line(job) {
  const row = document.createElement("tr");
  cell(row, job.job_id);
  state(row, job);
  cell(row, job.tag);
  cell(row, job.input ? job.input.object ?? job.input.url : "");
  outputs(row, job);
  cell(row, (job.created_at ?? "").replace("T", " ").replace(/(\.\d+)?Z$/, ""));
  cell(row, job.verification === "unconfirmed" ? "unconfirmed" : job.source);
  return row;
}

function show(part) {
  byId("login").hidden = part !== "login";
  byId("jobs").hidden = part !== "jobs";
  byId("forget").hidden = part !== "jobs";
}

async function refresh() {
  if (!store.getItem("key")) return show("login");
  try {
    const { jobs, next_cursor: next } = await page();
    rows.replaceChildren(...jobs.map(line));
    older = next;
    byId("more").hidden = !next;
    byId("empty").hidden = jobs.length > 0;
    byId("status").textContent = `as of ${new Date().toLocaleTimeString()}`;
    show("jobs");
  } catch (error) {
    byId("status").textContent = error.message;
    if (error.status === 401 || error.status === 403) {
      store.removeItem("key");
      show("login");
    }
  }
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  store.setItem("key", byId("key").value.trim());
  refresh();
});
byId("forget").addEventListener("click", () => {
  store.removeItem("key");
  byId("status").textContent = "";
  show("login");
});
byId("more").addEventListener("click", async () => {
  const { jobs, next_cursor: next } = await page(older);
  rows.append(...jobs.map(line));
  older = next;
  byId("more").hidden = !next;
});

takeKeyFromAddress();
refresh();
// The newest page is looked at again every few seconds, unless the reader has gone on to older ones.
setInterval(() => { if (!document.hidden && rows.childElementCount <= 50) refresh(); }, 3000);
