// Draws each canvas[data-chart] from the column of a table beside it, so that both always say the same.
(() => {
  "use strict";
  const drawn = [];

  const column = (table, number) =>
    [...table.tBodies[0].rows].map((row) => ({
      label: row.cells[0].textContent,
      count: Number(row.cells[number].textContent.replace(/\D/g, "")),
    }));

  const draw = (canvas) => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const across = "across" in canvas.dataset; // bars from left to right, in the order of the table
    const data = column(document.getElementById(canvas.dataset.chart), Number(canvas.dataset.column));
    if (!across) data.reverse(); // tables of time begin with the newest
    const names = { grid: { display: false }, border: { color: colour("--line") }, ticks: { color: colour("--muted"), maxRotation: 0, autoSkip: !across, autoSkipPadding: 16, font: { size: 11 } } };
    const counts = { beginAtZero: true, suggestedMax: 4, border: { display: false }, grid: { color: colour("--line") }, ticks: { color: colour("--muted"), precision: 0, maxTicksLimit: 4, font: { size: 11 } } };
    const half = canvas.clientWidth < 480 ? 8 : 14; // of a long name: its end names the variant
    const shortened = (text) => (text.length > 2 * half + 2 ? `${text.slice(0, half + 1)}…${text.slice(-half)}` : text);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    return new Chart(canvas, {
      type: "bar",
      data: {
        labels: data.map((one) => (across ? shortened(one.label) : one.label)),
        datasets: [{ data: data.map((one) => one.count), backgroundColor: colour("--chart"), borderRadius: 3, minBarLength: 0, maxBarThickness: 28 }],
      },
      options: {
        indexAxis: across ? "y" : "x",
        animation: still ? false : { duration: 250 },
        maintainAspectRatio: false,
        plugins: { legend: { display: false }, tooltip: { displayColors: false } },
        scales: across ? { x: counts, y: names } : { x: names, y: counts },
      },
    });
  };

  const drawAll = () => {
    for (const chart of drawn.splice(0)) chart.destroy();
    for (const canvas of document.querySelectorAll("canvas[data-chart]")) drawn.push(draw(canvas));
  };

  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
