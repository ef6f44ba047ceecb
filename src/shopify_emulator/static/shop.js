// Moves the levels, the orders to refund and the list of movements once a second. The page works without it.
"use strict";
const make = (tag, kind, text) => {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  node.textContent = text;
  return node;
};
const button = (name, value, text, label) => {
  const node = make("button", "", text);
  Object.assign(node, { name, value, ariaLabel: label });
  return node;
};
const movement = (move) => {
  const item = make("li", `by-${move.kind}`, "");
  const text = make("span", "text", "");
  text.append(
    make("strong", "", move.cause),
    make("span", "", move.what),
    make("span", "quiet", `${move.where}, now ${move.after} · ${move.time}`),
  );
  item.append(make("span", "delta", move.delta), text);
  return item;
};
const orderLine = (order, line) => {
  const item = make("li", "", "");
  Object.assign(item.dataset, { line: line.id, left: line.left });
  const text = make("span", "", `${line.what} `);
  text.append(make("span", "quiet", line.detail));
  item.append(text, button("line", line.id, "Refund", `Refund ${line.what} of ${order.name}`));
  return item;
};
const refundable = (order) => {
  const item = make("li", "", "");
  const whole = make("div", "whole", "");
  whole.append(
    make("strong", "", order.name),
    button("order", order.id, "Refund all", `Refund all of ${order.name}`),
  );
  const lines = make("ul", "", "");
  lines.append(...order.lines.map((line) => orderLine(order, line)));
  item.append(whole, lines);
  return item;
};
const showLevels = (levels) => {
  for (const node of document.querySelectorAll("[data-level]")) {
    const value = levels[node.dataset.level];
    if (value === undefined || node.textContent === String(value)) continue;
    node.textContent = value;
    node.classList.toggle("out", value <= 0);
    node.classList.remove("changed");
    void node.offsetWidth;
    node.classList.add("changed");
  }
};
// A field that nobody has typed into keeps up with its level; one that somebody has is left alone.
const renewFields = (levels) => {
  for (const field of document.querySelectorAll("[data-edits]")) {
    const was = document.querySelector(`[data-was="${CSS.escape(field.dataset.edits)}"]`);
    const value = levels[field.dataset.edits];
    if (value !== undefined && field.value === was.value) field.value = was.value = value;
  }
};
const showRefundable = (orders) => {
  const list = document.getElementById("refunds");
  const shown = [...list.querySelectorAll("[data-line]")].map(({ dataset }) => `${dataset.line} ${dataset.left}`);
  const wanted = orders.flatMap((order) => order.lines.map((line) => `${line.id} ${line.left}`));
  if (shown.join() === wanted.join()) return;
  const at = list.contains(document.activeElement) ? document.activeElement.value : "";
  list.replaceChildren(...orders.map(refundable));
  if (at) list.querySelector(`button[value="${CSS.escape(at)}"]`)?.focus();
  document.getElementById("no-refunds").hidden = orders.length > 0;
};
let seen = Number(document.querySelector('[data-count="movements"]').textContent);
const show = (live) => {
  for (const [name, value] of Object.entries(live.counts)) {
    const node = document.querySelector(`[data-count="${name}"]`);
    if (node) node.textContent = value;
  }
  showLevels(live.levels);
  renewFields(live.levels);
  showRefundable(live.refundable);
  if (live.counts.movements !== seen) {
    seen = live.counts.movements;
    document.getElementById("moves").replaceChildren(...live.movements.map(movement));
  }
};
const poll = async () => {
  try {
    const answer = await fetch("live.json", { cache: "no-store" });
    if (answer.ok) show(await answer.json());
  } catch (error) {
    console.info("the shop does not answer", error);
  }
  setTimeout(poll, 1000);
};
setTimeout(poll, 1000);
