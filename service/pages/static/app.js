"use strict";
// What pages do beyond plain links and forms. Without it they still work.
(() => {
  const $ = (selector, from) => (from || document).querySelector(selector);
  const $$ = (selector, from) => Array.from((from || document).querySelectorAll(selector));

  // Times: the server writes UTC; show the viewer's own zone, and UTC on hover.
  const zoned = new Intl.DateTimeFormat(undefined, {dateStyle: "medium", timeStyle: "medium"});
  const hour = new Intl.DateTimeFormat(undefined, {hour: "2-digit", minute: "2-digit"});
  function showTimes(from) {
    for (const time of $$("time[datetime]", from)) {
      if (time.title) continue;
      time.title = time.textContent;
      time.textContent = zoned.format(new Date(time.dateTime));
    }
    const zone = $("#zone");
    if (zone) zone.textContent = `in the zone ${zoned.resolvedOptions().timeZone}`;
    for (const tick of $$("text[data-hour]", from)) tick.textContent = hour.format(new Date(tick.dataset.hour));
  }

  // Seconds left until what was planned leaves.
  function countDown() {
    for (const left of $$("[data-left]")) {
      // By the service's clock: the browser's may be wrong.
      left.dataset.until ||= performance.now() / 1000 + Number(left.dataset.left);
      const seconds = Math.max(0, Math.ceil(left.dataset.until - performance.now() / 1000));
      const text = `${seconds} s`;
      if (left.textContent !== text) left.textContent = text;
    }
  }

  // Live updates: one stream while the page is visible; a page that gets none asks now and then.
  let stream, polling, stopped = false;
  const changed = () => htmx.trigger(document.body, "changed");
  function say(text) { const live = $("#live"); if (live) live.textContent = text; }
  function disconnect() {
    if (stream) stream.close();
    stream = undefined;
    clearInterval(polling);
  }
  function connect() {
    const address = document.body.dataset.live;
    if (!address || stopped || document.hidden) return;
    disconnect();
    stream = new EventSource(address);
    stream.addEventListener("open", () => { clearInterval(polling); say("Live"); });
    stream.addEventListener("changed", changed);
    stream.addEventListener("error", () => {
      say("Reconnecting");
      clearInterval(polling);
      polling = setInterval(() => { changed(); if (stream && stream.readyState === EventSource.CLOSED) connect(); }, 10000);
    });
  }
  function watch() {
    const toggle = $("#live-switch");
    if (!toggle) return;
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      stopped = !stopped;
      toggle.textContent = stopped ? "Start updates" : "Stop updates";
      if (stopped) { disconnect(); say("Stopped"); } else { changed(); connect(); }
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) { disconnect(); say("Paused"); } else if (!stopped) { changed(); connect(); }
    });
    window.addEventListener("pagehide", disconnect);
    connect();
  }

  // Dialogs.
  function showDialog(id) { const dialog = document.getElementById(id); if (dialog && !dialog.open) dialog.showModal(); }
  document.addEventListener("click", (event) => {
    const opens = event.target.closest("[data-opens]"), closes = event.target.closest("[data-closes]");
    if (opens) showDialog(opens.dataset.opens);
    if (closes) { const dialog = document.getElementById(closes.dataset.closes); if (dialog && dialog.open) dialog.close(); else history.back(); }
  });
  // Of a decision's form only the fields of the chosen action are shown.
  function showFields() {
    const form = $("#decide");
    if (!form) return;
    const action = form.elements.action.value;
    for (const part of $$("[data-for]", form)) {
      part.hidden = !part.dataset.for.split(" ").includes(action);
      for (const field of $$("input, textarea, select", part)) field.disabled = part.hidden;
    }
    const confirm = $("#decide-confirm");
    confirm.setAttribute("aria-label", action.replace("_", " "));
    const name = action.replace("_", " ");
    $("span", confirm).textContent = name[0].toUpperCase() + name.slice(1);
  }
  document.addEventListener("change", (event) => { if (event.target.closest("#decide")) showFields(); });

  // The queue.
  const rows = () => $$("#queue tr[data-submission]");
  let current;
  function select(row) {
    if (!row) return;
    for (const one of rows()) one.classList.toggle("current", one === row);
    current = row.dataset.submission;
    row.focus({preventScroll: true});
    row.scrollIntoView({block: "nearest"});
  }
  const currentRow = () => rows().find((row) => row.dataset.submission === current) || rows()[0];
  function step(by) {
    const all = rows(), at = all.findIndex((row) => row.dataset.submission === current);
    select(all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))]);
  }
  // The next one that is still to be decided.
  function advance() {
    const all = rows(), at = all.findIndex((row) => row.dataset.submission === current);
    select(all.slice(at + 1).find((row) => !row.matches(".planned, .gone")) || all[at]);
  }
  function press(name, from) {
    const button = from && $$("button", from).find((one) => one.getAttribute("aria-label") === name);
    if (button) button.click();
    return Boolean(button);
  }
  const keys = {
    j: () => step(1),
    k: () => step(-1),
    Enter: () => { const link = currentRow() && $("a.id", currentRow()); if (link) link.click(); },
    a: () => { const row = currentRow(); select(row); if (press("approve", row)) advancing = row.dataset.submission; },
    r: () => { const row = currentRow(); select(row); press("reject", row); },
    x: () => { const row = currentRow(); select(row); const box = row && $("input[name=ids]", row); if (box) box.click(); },
    u: () => { const button = $("#planned .notice button"); if (button) button.click(); else press("undo", $("#queue tr.planned")); },
    "/": () => ($("#search") || $("#find")).focus(),
    "?": () => showDialog("keys"),
  };
  let advancing;
  const typing = (target) => target.closest("textarea, select, [contenteditable]") || (target.matches("input") && !["checkbox", "radio", "button"].includes(target.type));
  const keysOff = () => localStorage.getItem("keys") === "off";
  document.addEventListener("keydown", (event) => {
    const form = event.target.closest("#decide");
    if (form && event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); $("#decide-confirm").click(); return; }
    if (!($("#queue, #search") || event.key === "/") || event.ctrlKey || event.metaKey || event.altKey || keysOff() || $("dialog[open]") || typing(event.target)) return;
    if (event.key === "Enter" && event.target.closest("a, button, summary, input")) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  document.addEventListener("focusin", (event) => {
    const row = event.target.closest("#queue tr[data-submission]");
    if (row) { current = row.dataset.submission; for (const one of rows()) one.classList.toggle("current", one === row); }
  });
  function countSelected() {
    const status = $("#selected");
    if (!status) return;
    const boxes = $$("#queue input[name=ids]"), all = $("#select-all").checked;
    const number = boxes.filter((box) => box.checked).length;
    status.textContent = all ? "All that match" : number ? `${number} selected` : "None selected";
    for (const button of $$("[data-needs-selection]")) button.disabled = !all && !number;
    const page = $("#select-page");
    page.checked = number > 0 && number === boxes.filter((box) => !box.disabled).length;
  }
  document.addEventListener("change", (event) => {
    if (event.target.id === "select-page") for (const box of $$("#queue input[name=ids]:enabled")) box.checked = event.target.checked;
    if (event.target.closest("#queue, #selection")) countSelected();
    if (event.target.id === "keys-off") { if (event.target.checked) localStorage.setItem("keys", "off"); else localStorage.removeItem("keys"); }
  });

  // Paper shows everything.
  window.addEventListener("beforeprint", () => { for (const part of $$("details")) part.open = true; });

  document.addEventListener("DOMContentLoaded", () => {
    showTimes();
    showFields();
    countSelected();
    const off = $("#keys-off");
    if (off) off.checked = keysOff();
    setInterval(countDown, 500);
    watch();
    if ($("#queue") && sessionStorage.getItem("advance")) {
      current = sessionStorage.getItem("advance");
      sessionStorage.removeItem("advance");
      advance();
    }
    // A live update replaces the element that has the focus: its successor gets it.
    let focused;
    const kind = (one) => ["href", "name", "aria-label"].map((name) => one.getAttribute(name)).join(" ");
    document.body.addEventListener("htmx:beforeSwap", (event) => {
      const own = $("dialog[open] #decide-problem");
      // What is behind an open dialog is neither seen nor read out.
      if (own && event.detail.target.id === "toast") event.detail.target = own;
      const active = document.activeElement;
      focused = event.target.contains(active) && active !== event.target && !active.id ? [active.tagName, kind(active)] : undefined;
    });
    document.body.addEventListener("htmx:afterSwap", (event) => {
      const [tag, same] = focused || [];
      focused = undefined;
      if (!tag || document.activeElement !== document.body) return;
      // A row is replaced as a whole, and its buttons change with it.
      const row = event.target.matches("tr") && document.getElementById(event.target.id);
      const next = row || $$(tag, event.target).find((one) => kind(one) === same);
      if (next) next.focus({preventScroll: true});
    });
    // The form was sent by htmx into the dialog: show it.
    document.body.addEventListener("htmx:afterSwap", (event) => {
      showTimes(event.target.parentNode || document);
      showTimes();
      if (event.target.id === "dialog-content") {
        showFields();
        showDialog("dialog");
        const first = $("textarea:enabled", event.target) || $("#decide-confirm");
        if (first) first.focus();
      }
      countSelected();
      if (advancing) { advancing = undefined; advance(); }
    });
    document.body.addEventListener("htmx:configRequest", (event) => {
      // The page loads again after a decision in the dialog: go on with the next submission then.
      if (event.target.id === "decide" && current) sessionStorage.setItem("advance", current);
      if (event.detail.path === "/holds/planned") {
        event.detail.parameters.batches = $$("#planned [data-batch]").map((one) => one.dataset.batch).join(",");
      }
    });
  });
})();
