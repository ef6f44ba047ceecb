// Small comforts over pages that work without scripts: copy buttons, confirmation in a dialog, list inputs
// that grow, and table roles that narrow screens would lose.
(() => {
  "use strict";
  document.documentElement.classList.add("js");

  const copyText = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button.previousElementSibling);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Press Ctrl+C";
    }
  };

  // The confirmation page of a link, shown in a dialog; if that fails, the link is followed as ever.
  const ask = async (link) => {
    try {
      const answer = await fetch(link.href, { headers: { "X-Poll": "1" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const question = page.getElementById("confirm");
      if (!answer.ok || !question) throw new Error("no question");
      const dialog = document.createElement("dialog");
      const title = question.querySelector("h2");
      title.id = "confirm-title";
      dialog.setAttribute("aria-labelledby", title.id);
      dialog.append(document.importNode(question, true));
      document.body.append(dialog);
      dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
      dialog.showModal();
    } catch {
      location.assign(link.href);
    }
  };

  const grow = (list) => {
    const inputs = list.querySelectorAll("input");
    const last = inputs[inputs.length - 1];
    if (!last.value) return;
    const next = last.cloneNode();
    next.value = "";
    next.setAttribute("aria-label", last.getAttribute("aria-label").replace(/\d+$/, inputs.length + 1));
    last.after(next);
  };

  // display: block takes the meaning of a table from some browsers; say it again.
  const keepTableRoles = (root) => {
    const roles = { table: "table", thead: "rowgroup", tbody: "rowgroup", tr: "row", td: "cell", "thead th": "columnheader", "tbody th": "rowheader" };
    for (const table of root.querySelectorAll("table.data")) {
      table.setAttribute("role", "table");
      for (const [selector, role] of Object.entries(roles)) {
        for (const part of table.querySelectorAll(selector)) part.setAttribute("role", role);
      }
    }
  };

  const prepare = (root) => {
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
    keepTableRoles(root);
  };

  document.addEventListener("click", (event) => {
    const copy = event.target.closest("[data-copy]");
    if (copy) return void copyText(copy);
    const close = event.target.closest("dialog [data-close]");
    if (close) {
      event.preventDefault();
      return close.closest("dialog").close();
    }
    const link = event.target.closest("a[data-confirm]");
    if (link && !event.metaKey && !event.ctrlKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      ask(link);
    }
    for (const menu of document.querySelectorAll("details.account[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.account[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
  document.addEventListener("input", (event) => {
    const list = event.target.closest("[data-list]");
    if (list) grow(list);
  });
  document.addEventListener("htmx:load", (event) => prepare(event.detail.elt));
  prepare(document);
})();
