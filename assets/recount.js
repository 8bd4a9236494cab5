/* Adds a search field and a choice of verdicts to a page of tables. Without it every row is shown. */
(() => {
  const box = document.querySelector(".recount-filter");
  const rows = [...document.querySelectorAll("table.recount tbody tr")];
  if (!box || !rows.length) return;

  const texts = rows.map((row) => row.textContent.toLowerCase());
  const tally = new Map();
  for (const { dataset } of rows) tally.set(dataset.verdict, (tally.get(dataset.verdict) ?? 0) + 1);

  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const words = make("input", { type: "search", autocomplete: "off" });
  const verdicts = make("select", {}, make("option", { value: "", textContent: `all (${rows.length})` }));
  for (const [verdict, count] of tally)
    verdicts.append(make("option", { value: verdict, textContent: `${verdict} (${count})` }));
  const shown = make("output");
  shown.setAttribute("aria-live", "polite");

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, place) => {
      const fits = !verdicts.value || row.dataset.verdict === verdicts.value;
      row.hidden = !(fits && wanted.every((word) => texts[place].includes(word)));
      count += !row.hidden;
    });
    for (const table of document.querySelectorAll("table.recount"))
      table.hidden = !table.querySelector("tbody tr:not([hidden])");
    shown.value = `${count} of ${rows.length} ${box.dataset.noun} shown`;
  };
  words.addEventListener("input", filter);
  verdicts.addEventListener("change", filter);
  box.append(
    make("label", {}, "Search", words),
    make("label", {}, "Verdict", verdicts),
    shown,
  );
  filter();
})();
