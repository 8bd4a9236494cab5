// What the interactive figures share. Python puts this text before each figure's own module.

const make = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const div = (className, ...children) => make("div", { className }, ...children);

// A sentence that is read out whenever it changes.
const announced = (className) => make("p", { className, ariaLive: "polite" });

const grouped = (number) => number.toLocaleString("en-GB");

// A figure draws inside its own root: style sheets of the page around it do not reach in.
const stage = ({ model, el }, style) => {
  Object.assign(el, { role: "group", ariaLabel: model.get("label") });
  const root = div("figure");
  el.attachShadow({ mode: "open" }).append(make("style", { textContent: SHARED_STYLE + style }), root);
  return root;
};

// Draws now and after each change; returns what ends that.
const follow = (model, draw) => {
  draw();
  model.on("change", draw);
  return () => model.off("change", draw);
};

// Takes new values, and lets Python have them where it listens.
const change = (model, values) => {
  for (const [name, value] of Object.entries(values)) model.set(name, value);
  model.save_changes();
};

// Whole numbers, each with a slider and a box that agree. A value that cannot be is not taken: the form says why,
// and goes as near to it as can be.
//   fields: [{ name, title, symbol(), min, max }]; with `word` and `number(values)`, the trait may hold that word in
//   place of a number, and a tick switches between the two; with `stops`, the slider has these values alone.
//   problem(values): why these cannot stand together, or "".
const form = (model, fields, problem) => {
  const values = () => Object.fromEntries(fields.map(({ name }) => [name, model.get(name)]));
  const why = ({ name, title, min, max, word }, wanted) =>
    wanted !== word && !(Number.isInteger(wanted) && min <= wanted && wanted <= max)
      ? `Expected a whole number from ${min} to ${max} for the ${title}.`
      : problem({ ...values(), [name]: wanted });
  const number = ({ name, word, number }) => (model.get(name) === word ? number(values()) : model.get(name));

  const notice = make("p", { className: "notice", role: "alert" });
  // Below the row it is about: what the reader holds stays where it is.
  const say = (field, reason) => {
    notice.textContent = reason;
    if (reason) rows.find((row) => row.field === field).row.after(notice);
    return !reason;
  };
  const take = ({ name }, value) => change(model, { [name]: value });
  const attempt = (field, wanted) => {
    if (say(field, why(field, wanted))) take(field, wanted);
  };
  const settle = (field, wanted) => {
    const reason = why(field, wanted);
    const now = number(field);
    let value = Number.isNaN(wanted) ? now : Math.min(Math.max(Math.round(wanted), field.min), field.max);
    while (value !== now && why(field, value)) value += Math.sign(now - value);
    take(field, value);
    say(field, reason && `${reason} Taken instead: ${field.title} ${value}.`);
    show();
  };

  const rows = fields.map((field) => {
    const { title, symbol, min, max, word, stops } = field;
    const ends = stops ? { min: 0, max: stops.length - 1 } : { min, max };
    const slider = make("input", { type: "range", ...ends, ariaLabel: title });
    const box = make("input", { type: "number", min, max, ariaLabel: `${title}, as a number` });
    const tick = make("input", { type: "checkbox" });
    slider.oninput = () => settle(field, stops ? stops[slider.value] : slider.valueAsNumber);
    box.oninput = () => attempt(field, box.valueAsNumber);
    box.onchange = () => settle(field, box.valueAsNumber);
    tick.onchange = () => {
      attempt(field, tick.checked ? word : number(field));
      show();
    };
    const name = make("span", { className: "name" }, title, " ", make("i", {}, ...symbol()));
    if (word) name.append(make("label", {}, tick, word));
    return { field, slider, box, tick, row: div("field", name, slider, box) };
  });
  const show = () => {
    for (const { field, slider, box, tick } of rows) {
      const present = (box.value = number(field));
      slider.value = field.stops?.findLastIndex((stop) => stop <= present) ?? present;
      if (field.stops) slider.ariaValueText = grouped(present);
      tick.checked = slider.disabled = box.disabled = model.get(field.name) === field.word;
    }
  };
  show();
  return { values, show, element: div("form", ...rows.map(({ row }) => row), notice) };
};

const SHARED_STYLE = `
  :host { display: block; margin: 1.5rem 0; padding: 0 5px; }
  .figure { container-type: inline-size; color: inherit; font: inherit; line-height: 1.5; }
  .standard { --colour: #d55e00; } .depthwise { --colour: #0072b2; } .pointwise { --colour: #009e73; }
  @media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
  p { margin: 0 0 0.75rem; }
  .notice { margin: 0; font-weight: 600; }
  .notice:not(:empty) { margin: 0.5rem 0; padding: 0.5rem 0.75rem; border: 2px solid currentcolor; border-radius: 6px; }
  .field { display: grid; grid-template-columns: 13rem 1fr 5.5rem; gap: 0 1rem; align-items: center; min-height: 44px; }
  .name { display: flex; flex-wrap: wrap; gap: 0 0.5rem; align-items: center; }
  .name label { display: inline-flex; gap: 0.4rem; align-items: center; min-height: 44px; padding-right: 0.5rem; }
  i sub { font-size: 0.75em; line-height: 1; }
  input { margin: 0; accent-color: #0072b2; font: inherit; color: inherit; }
  input[type="checkbox"] { width: 1.2rem; height: 1.2rem; }
  input[type="range"] { min-width: 0; height: 44px; }
  input[type="number"] {
    box-sizing: border-box; width: 100%; min-height: 38px; padding: 0.2rem 0.4rem; text-align: right;
    border: 1px solid currentcolor; border-radius: 6px; background: transparent;
  }
  input:disabled { opacity: 0.55; }
  input:focus-visible { outline: 3px solid currentcolor; outline-offset: 2px; }
  @media print { input[type="range"] { visibility: hidden; } }
  @container (max-width: 32rem) {
    .field { grid-template-columns: 1fr 5.5rem; }
    .name { grid-column: 1 / -1; }
  }
`;

