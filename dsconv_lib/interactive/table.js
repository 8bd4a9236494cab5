// A table of numbers. Where there is no room for its columns, each row is a list, and each number says what it is.

// rows, in `fill`: [what it is about, ...texts]
const table = (...columns) => {
  const body = make("tbody");
  const head = columns.map((text) => make("th", { scope: "col", textContent: text }));
  const row = ([name, ...texts]) => {
    const cells = texts.map((textContent) => make("td", { textContent }));
    cells.forEach((cell, k) => (cell.dataset.label = columns[k + 1]));
    return make("tr", {}, make("th", { scope: "row" }, name), ...cells);
  };
  const element = make("table", {}, make("thead", {}, make("tr", {}, ...head)), body);
  return { element, fill: (rows) => body.replaceChildren(...rows.map(row)) };
};

const TABLE_STYLE = `
  table { --line: color-mix(in srgb, currentcolor 30%, transparent); width: 100%; margin-top: 1rem; border-collapse: collapse; }
  td { font-variant-numeric: tabular-nums; }
  :is(th, td) { padding: 0.35rem 0.5rem; border-bottom: 1px solid var(--line); text-align: right; }
  th:first-child { padding-left: 0; text-align: left; }
  @container (max-width: 32rem) {
    thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    table, tbody, tr, th, td { display: block; }
    tbody tr { padding: 0.4rem 0; border-bottom: 1px solid var(--line); }
    tbody :is(th, td) { padding: 0.1rem 0; border: 0; }
    td { display: flex; justify-content: space-between; }
    td::before { content: attr(data-label); }
  }
`;

