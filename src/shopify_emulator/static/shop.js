// Moves the levels and the list of movements once a second. The page works without it.
"use strict";
const line = (move) => {
  const make = (tag, kind, text) => {
    const node = document.createElement(tag);
    if (kind) node.className = kind;
    node.textContent = text;
    return node;
  };
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
let seen = Number(document.querySelector('[data-count="movements"]').textContent);
const show = (live) => {
  for (const [name, value] of Object.entries(live.counts)) {
    const node = document.querySelector(`[data-count="${name}"]`);
    if (node) node.textContent = value;
  }
  for (const node of document.querySelectorAll("[data-level]")) {
    const value = live.levels[node.dataset.level];
    if (value === undefined || node.textContent === String(value)) continue;
    node.textContent = value;
    node.classList.toggle("out", value <= 0);
    node.classList.remove("changed");
    void node.offsetWidth;
    node.classList.add("changed");
  }
  if (live.counts.movements !== seen) {
    seen = live.counts.movements;
    document.getElementById("moves").replaceChildren(...live.movements.map(line));
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
