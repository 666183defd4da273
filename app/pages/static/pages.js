"use strict";
// What htmx has no attribute for: ages, copies, the selection, and a line while the service does not answer.

const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function ages() {
  for (const time of document.querySelectorAll("time[data-age]")) {
    const seconds = Math.max(0, (Date.now() - Date.parse(time.dateTime)) / 1000);
    const [size, name] = units.find(([size]) => seconds >= size) || units[3];
    const text = `${Math.floor(seconds / size)} ${name}`;
    if (time.textContent !== text) time.textContent = text;
  }
}

function selection() {
  const picks = [...document.querySelectorAll(".pick")];
  const count = picks.filter((each) => each.checked).length;
  const said = document.getElementById("selected");
  if (said) said.textContent = count ? `${count} selected` : "";
  const every = document.getElementById("every");
  if (every) {
    every.checked = count > 0 && count === picks.length;
    every.indeterminate = count > 0 && count < picks.length;
  }
}

async function copy(button) {
  const from = button.dataset.copyFrom;
  const text = from ? document.querySelector(from).textContent : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy by hand";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".copy");
  if (button) copy(button);
});

document.addEventListener("change", (event) => {
  if (event.target.id === "every") {
    for (const each of document.querySelectorAll(".pick")) each.checked = event.target.checked;
  }
  selection();
});

function offline(is) {
  document.getElementById("offline").hidden = !is;
}

// What a person has ticked or opened stays so when new rows arrive.
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name) => name !== "checked" && name !== "open";

document.addEventListener("htmx:afterSettle", () => { ages(); selection(); offline(false); });
document.addEventListener("htmx:sseOpen", () => offline(false));
document.addEventListener("htmx:sseError", () => offline(true));
document.addEventListener("htmx:sendError", () => offline(true));
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 500) offline(true);
});
document.addEventListener("visibilitychange", ages);
setInterval(ages, 10000);
selection();

// A link to an operation or a model of the reference opens it.
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", openTarget);
addEventListener("DOMContentLoaded", openTarget);
