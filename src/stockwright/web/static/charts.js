// Draws each canvas[data-chart] from the column of a table beside it, so that both always say the same.
(() => {
  "use strict";
  const drawn = [];

  const column = (table, number) =>
    [...table.tBodies[0].rows].reverse().map((row) => ({
      label: row.cells[0].textContent,
      count: Number(row.cells[number].textContent.replace(/\D/g, "")),
    }));

  const draw = (canvas) => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const data = column(document.getElementById(canvas.dataset.chart), Number(canvas.dataset.column));
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    return new Chart(canvas, {
      type: "bar",
      data: {
        labels: data.map((one) => one.label),
        datasets: [{ data: data.map((one) => one.count), backgroundColor: colour("--chart"), borderRadius: 3, minBarLength: 0 }],
      },
      options: {
        animation: still ? false : { duration: 250 },
        maintainAspectRatio: false,
        plugins: { legend: { display: false }, tooltip: { displayColors: false } },
        scales: {
          x: { grid: { display: false }, border: { color: colour("--line") }, ticks: { color: colour("--muted"), maxRotation: 0, autoSkipPadding: 16, font: { size: 11 } } },
          y: { beginAtZero: true, suggestedMax: 4, border: { display: false }, grid: { color: colour("--line") }, ticks: { color: colour("--muted"), precision: 0, maxTicksLimit: 4, font: { size: 11 } } },
        },
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
