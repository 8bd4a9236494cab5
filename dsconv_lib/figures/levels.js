// MobileNetV1 on three levels: its layers, one of them, and the window of one output number.

const KINDS = { standard: "stem", depthwise: "depthwise", pointwise: "pointwise", linear: "classifier" };
const MEASURES = {
  macs: { unit: "MACs", verbs: ["make", "makes"], parts: ({ outputs }) => [outputs, "output numbers"] },
  params: { unit: "weights", verbs: ["hold", "holds"], parts: ({ out_channels }) => [out_channels, "output channels"] },
  bytes: { unit: "bytes", verbs: ["move", "moves"], parts: ({ bytes }) => [bytes / 4, "numbers"] },
};

const sum = (layers, measure) => layers.reduce((all, layer) => all + layer[measure], 0);
const percent = (part, whole) => `${((100 * part) / whole).toFixed(2)} %`;
const shape = (channels, size) => `${channels} × ${size} × ${size}`;
const model_name = (alpha, resolution) => `${alpha === 1 ? "1.0" : alpha} MobileNet-${resolution}`;
const halves = ({ name }) => name.replace("block", "").split(".");
const title = (layer) => (layer.twin ? `block ${halves(layer).join(", ")}` : layer.name);

const sentence = (layers, layer, measure) => {
  const { unit, verbs: [make, makes], parts } = MEASURES[measure];
  const [block, half] = halves(layer);
  const whole = sum(layers, measure);
  const alike = sum(layers.filter(({ kind }) => kind === layer.kind), measure);
  const [count, what] = parts(layer);
  return (
    `The ${half ? `${half} layers ${make}` : `${block} ${makes}`} ${percent(alike, whole)} of the ${grouped(whole)} ${unit}. ` +
    `${half ? `The one in block ${block}` : "It"} ${makes} ${grouped(layer[measure])}: ` +
    `${grouped(layer[measure] / count)} for each of its ${grouped(count)} ${what}.`
  );
};

// The MACs as factors, those of the window first and then those that count the output numbers: letters, then numbers.
const product = ({ kind, in_channels, out_channels, kernel_size, out_size }) => {
  const D = (letter) => make("span", {}, make("i", {}, "D", make("sub", {}, letter)), "²");
  const letter = (name) => make("i", {}, name);
  const taps = [D("K"), `${kernel_size}²`], pixels = [D("G"), `${out_size}²`];
  const inputs = [letter("M"), in_channels], filters = [letter("N"), out_channels];
  const [window, outputs] = {
    standard: [[taps, inputs], [filters, pixels]],
    depthwise: [[taps], [inputs, pixels]],
    pointwise: [[inputs], [filters, pixels]],
    linear: [[inputs], [filters]],
  }[kind];
  const written = (factors, column) => factors.flatMap((factor, index) => (index ? [" · ", factor[column]] : [factor[column]]));
  return [0, 1].flatMap((column) => [
    column ? " = " : "", make("span", { className: "looks" }, ...written(window, column)),
    " · ", make("span", { className: "gives" }, ...written(outputs, column)),
  ]);
};

// Sheets stand for channels, four of them for more; of a map wider than six pixels six are drawn. A line runs through
// all that the output number looks at, and ends in it.
const picture = ({ in_channels, out_channels, in_size, out_size, kernel_size, stride, looked_at }) => {
  const PIXEL = 15, SLANT = 0.42, GAP = 26;
  const square = (name, x, y, side) => {
    const [left, top, size] = [x, y, side].map((pixels) => PIXEL * pixels);
    return `<rect class="${name}" x="${left}" y="${top}" width="${size}" height="${size}"/>`;
  };
  const stack = (left, channels, size, side, { name, start, width, marked }) => {
    const places = channels > 4 ? [0, 1, 2, 4] : [...Array(channels).keys()];
    const top = 8 + (PIXEL * (6 - side)) / 2;
    const marks = Array.from({ length: width ** 2 }, (_, i) => square(name, start + (i % width), start + Math.floor(i / width), 1));
    const sheets = places.map((place, index) =>
      `<g transform="translate(${left + GAP * place} ${top}) skewY(25) scale(${SLANT} 1)">` +
      `${square("sheet", 0, 0, side)}${index < marked ? marks.join("") : ""}</g>`);
    const dots = channels > 4 ? `<text x="${left + 3.6 * GAP}" y="64">…</text>` : "";
    const centre = PIXEL * (start + width / 2);
    return {
      drawn: `${sheets.join("")}${dots}<text x="${left + 70}" y="142">${shape(channels, size)}</text>`,
      points: places.slice(0, marked).map((place) => [left + GAP * place + SLANT * centre, top + 1.196 * centre]),
    };
  };
  const side = Math.min(in_size, 6);
  const pixel = Math.min(1, out_size - 1);
  const start = pixel * stride - (kernel_size === 3);
  const from = stack(8, in_channels, in_size, side, { name: "looks", start, width: kernel_size, marked: looked_at });
  const to = stack(202, out_channels, out_size, Math.ceil(side / stride), { name: "gives", start: pixel, width: 1, marked: 1 });
  return `${from.drawn}${to.drawn}<polyline points="${[...from.points, ...to.points]}"/>`;
};

const STYLE = `
  .standard { --colour: #d55e00; } .depthwise { --colour: #0072b2; } .pointwise { --colour: #009e73; } .linear { --colour: #777; }
  .figure { --line: color-mix(in srgb, currentcolor 30%, transparent); --tint: color-mix(in srgb, currentcolor 12%, transparent); --gives: #a05cb4; }
  .figure, output { font-variant-numeric: tabular-nums; }
  .result { min-height: 4.5em; font-size: 1.1em; font-weight: 600; }
  h3 { margin: 0.25rem 0; font-size: 1em; line-height: 44px; }
  section { border-top: 1px solid var(--line); }
  input { accent-color: currentcolor; }
  output { text-align: right; }
  select, button { min-height: 44px; padding: 0 0.6rem; border: 1px solid currentcolor; border-radius: 6px; background: transparent; font: inherit; color: inherit; }
  button { padding: 0; font-size: 1.3em; }
  option { background: canvas; color: canvastext; }
  label { position: relative; cursor: pointer; }
  label input { position: absolute; inset: 0; width: 100%; height: 100%; opacity: 0; cursor: inherit; }
  .measures { display: grid; grid-template-columns: repeat(3, 1fr); gap: 0.5rem; margin: 0.5rem 0 1rem; }
  .measures label { padding: 0.3rem 0.5rem; border: 1px solid var(--line); border-radius: 6px; line-height: 1.3; }
  .measures label:has(:checked) { border-color: currentcolor; background: var(--tint); box-shadow: 0 0 0 1px currentcolor; }
  .measures b { display: block; }
  .bars { display: flex; gap: 1%; user-select: none; touch-action: pan-y; }
  .block { flex: 2 0 0; display: grid; grid-template-columns: 1fr 1fr; text-align: center; font-size: 0.75em; }
  .block:is(:first-child, :last-child) { flex-grow: 1; grid-template-columns: 1fr; }
  .bar { height: 10rem; border-bottom: 4px solid transparent; border-radius: 3px 3px 0 0; }
  .bar:has(:checked) { background: var(--tint); border-color: currentcolor; outline: 2px solid currentcolor; }
  .bar div { position: absolute; inset: auto 1px 0; background: var(--colour); transition: height 0.2s; }
  .bar .full { opacity: 0.25; }
  :is(select, button):focus-visible, .figure label:has(:focus-visible) { outline: 3px solid currentcolor; outline-offset: 3px; }
  .block span { grid-column: 1 / -1; }
  .ends { display: flex; justify-content: space-between; font-size: 0.75em; }
  @media (prefers-reduced-motion: reduce) { .bar div { transition: none; } }
  .kinds { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.5rem; margin: 0.5rem 0 1rem; padding: 0; list-style: none; line-height: 1.3; }
  .kinds li { padding-left: 0.5rem; border-left: 6px solid var(--colour); }
  .kinds .chosen { background: var(--tint); }
  .details { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem; }
  .head { display: grid; grid-template-columns: 1fr 44px 44px; gap: 0.5rem; align-items: center; }
  b span, th span { border-bottom: 3px solid var(--colour); }
  .window { order: 1; } .twin { grid-column: 1 / -1; order: 2; min-height: 3em; margin: 0.5rem 0; }
  .looks, .gives { border-bottom: 3px solid var(--colour); fill: var(--colour); }
  .gives { --colour: var(--gives); }
  table { width: 100%; table-layout: fixed; border-collapse: collapse; font-size: 0.9em; }
  :is(th, td) { padding: 0.25rem 0 0.25rem 0.5rem; border-bottom: 1px solid var(--line); text-align: right; }
  th:first-child { padding-left: 0; text-align: left; }
  td:first-child { width: 18%; }
  th:nth-child(3) { width: 20%; }
  svg { display: block; width: 100%; max-width: 24rem; margin: 0.5rem auto; fill: currentcolor; font-size: 13px; text-anchor: middle; }
  polyline { fill: none; stroke: currentcolor; stroke-width: 1.5; stroke-dasharray: 3 3; }
  .sheet { fill: currentcolor; fill-opacity: 0.08; stroke: currentcolor; stroke-opacity: 0.6; }
  rect:is(.looks, .gives) { stroke: #fff; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: 0 0.75rem; margin: 0 0 0.75rem; }
  dt { text-align: right; }
  dd { margin: 0; }
  .note { margin: 0.75rem 0 0; font-size: 0.9em; }
  @container (max-width: 32rem) {
    .result { min-height: 7.5em; }
    .kinds { grid-template-columns: 1fr 1fr; }
    .details { grid-template-columns: 100%; }
    .window, .twin { order: 0; }
    .twin { min-height: 4.5em; }
    .published { grid-template-columns: auto 1fr; }
    .published .name { grid-column: auto; }
    .measures label { padding: 0.3rem; font-size: 0.9em; }
  }
`;

const render = ({ model, el }) => {
  const root = stage({ model, el }, STYLE);
  const choose = (values) => {
    for (const [name, value] of Object.entries(values)) model.set(name, value);
    model.save_changes();
  };
  const part = (tag, className, ...children) => make(tag, { className }, ...children);
  const radio = (name, value) =>
    make("input", { type: "radio", name, value, onchange: () => choose({ [name]: value }) });
  const group = (className, label, ...children) =>
    Object.assign(part("div", className, ...children), { role: "radiogroup", ariaLabel: label });

  const full = network(1, 224);
  const result = part("p", "result");
  result.setAttribute("aria-live", "polite");

  const sliders = [
    { name: "alpha", words: "width multiplier", letter: "α", min: 0.25, max: 1, step: 0.01 },
    { name: "resolution", words: "image side", letter: "ρ · 224", min: 32, max: 224, step: 8 },
  ].map(({ name, words, letter, ...range }) => {
    const slider = make("input", { type: "range", ...range, ariaLabel: words });
    slider.oninput = () => choose({ [name]: slider.valueAsNumber });
    const now = make("output");
    return { name, slider, now, row: part("div", "field", part("span", "name", `${words} `, make("i", {}, letter)), slider, now) };
  });
  const published = make("select", { ariaLabel: "published model" }, make("option", { value: "", textContent: "none of the 16", hidden: true }));
  for (const alpha of [1, 0.75, 0.5, 0.25])
    for (const resolution of [224, 192, 160, 128])
      published.append(make("option", { value: `${alpha} ${resolution}`, textContent: model_name(alpha, resolution) }));
  published.onchange = () => {
    const [alpha, resolution] = published.value.split(" ").map(Number);
    choose({ alpha, resolution });
  };

  const measures = Object.entries(MEASURES).map(([name, { unit }]) => {
    const input = radio("measure", name), count = make("b");
    return { name, input, count, label: make("label", {}, input, unit, count) };
  });
  const bars = full.map(({ name, kind }) => {
    const input = radio("layer", name), ghost = part("div", "full"), fill = part("div", "fill");
    return { input, ghost, fill, label: part("label", `bar ${kind}`, input, ghost, fill) };
  });
  const blocks = [[bars[0]], ...BLOCKS.map((_, i) => bars.slice(2 * i + 1, 2 * i + 3)), [bars.at(-1)]];
  const chart = group("bars", "layer", ...blocks.map((pair, i) =>
    part("div", "block", ...pair.map(({ label }) => label), make("span", { ariaHidden: "true", textContent: pair[1] ? i : "" }))));
  // A finger or a pressed mouse that moves over the bars chooses the one below it.
  chart.onpointermove = ({ buttons, clientX, clientY }) => {
    const below = buttons && root.getRootNode().elementFromPoint(clientX, clientY)?.closest(".bar");
    const bar = bars.find(({ label }) => label === below);
    if (bar) choose({ layer: bar.input.value });
  };
  const kinds = Object.entries(KINDS).map(([kind, words]) => ({ kind, words, item: part("li", kind) }));

  const step = (by) => () => {
    const now = full.findIndex((layer) => layer.name === model.get("layer"));
    choose({ layer: full.at((now + by) % full.length).name });
  };
  const steps = [["previous", "‹", -1], ["next", "›", 1]].map(([words, sign, by]) =>
    make("button", { type: "button", ariaLabel: `${words} layer`, textContent: sign, onclick: step(by) }));
  const name = make("b"), sizes = make("p"), macs = make("p"), twin = part("p", "twin"), body = make("tbody"), list = make("dl");
  const columns = ["this layer", "share", part("span", "standard", "as standard")].map((text) => make("th", { scope: "col" }, text));
  const drawing = make("div", { ariaHidden: "true" });
  const details = part("div", "details",
    make("section", {}, part("div", "head", make("h3", { textContent: "Layer" }), ...steps), name, sizes, macs,
      make("table", {}, make("thead", {}, make("tr", {}, make("td"), ...columns)), body)),
    twin,
    part("section", "window", make("h3", { textContent: "Window of one output number" }), drawing, list));
  const note = part("p", "note");

  const draw = () => {
    const measure = model.get("measure");
    const layers = network(model.get("alpha"), model.get("resolution"));
    const layer = layers.find((one) => one.name === model.get("layer"));
    const longest = Math.max(...full.map((one) => one[measure]));
    result.textContent = sentence(layers, layer, measure);
    for (const { name, slider, now } of sliders) now.value = slider.value = model.get(name);
    published.value = `${model.get("alpha")} ${model.get("resolution")}`;
    if (published.selectedIndex < 0) published.value = "";
    for (const { name, input, count } of measures) {
      input.checked = name === measure;
      count.textContent = grouped(sum(layers, name));
    }
    bars.forEach(({ input, ghost, fill }, index) => {
      input.checked = layers[index] === layer;
      input.ariaLabel = `${title(layers[index])}: ${grouped(layers[index][measure])} ${MEASURES[measure].unit}`;
      ghost.style.height = `${(100 * full[index][measure]) / longest}%`;
      fill.style.height = `${(100 * layers[index][measure]) / longest}%`;
    });
    for (const { kind, words, item } of kinds) {
      const count = sum(layers.filter((one) => one.kind === kind), measure);
      item.classList.toggle("chosen", kind === layer.kind);
      item.replaceChildren(words, make("br"), grouped(count), make("br"), percent(count, sum(layers, measure)));
    }
    details.className = `details ${layer.kind}`;
    name.replaceChildren(make("span", { textContent: title(layer) }));
    const { in_channels, in_size, out_channels, out_size, kernel_size, stride, looked_at } = layer;
    sizes.replaceChildren(
      `${shape(in_channels, in_size)} → ${shape(out_channels, out_size)}`, make("br"), `kernel ${kernel_size} × ${kernel_size}, stride ${stride}`,
    );
    macs.replaceChildren(...product(layer), make("br"), `= ${grouped(layer.macs)} MACs`);
    body.replaceChildren(...Object.entries(MEASURES).map(([key, { unit }]) => make("tr", {},
      make("th", { scope: "row", textContent: unit }),
      ...[grouped(layer[key]), percent(layer[key], sum(layers, key)), grouped((layer.twin ?? layer)[key])].map((textContent) => make("td", { textContent })))));
    twin.textContent = layer.twin
      ? `As standard: one 3 × 3 convolution in the place of block ${halves(layer)[0]}’s two layers. It makes ${layer.times.toFixed(2)} times the MACs of the two.`
      : `As standard: MobileNet with standard convolutions keeps the ${layer.name} as it is.`;
    drawing.innerHTML = `<svg viewBox="0 0 352 150">${picture(layer)}</svg>`;
    list.replaceChildren(...[
      ["", part("span", "looks", grouped(layer.window)), "multiplications each:", shape(looked_at, kernel_size)],
      ["× ", part("span", "gives", grouped(layer.outputs)), "output numbers:", shape(out_channels, out_size)],
      ["= ", grouped(layer.macs), "MACs", ""],
    ].flatMap(([sign, count, ...lines]) => [make("dt", {}, sign, count), make("dd", {}, lines[0], make("br"), lines[1])]));
    note.textContent =
      `Sizes are channels × height × width. One multiply-add is 1 MAC, on padding zeros too. Weights are counted without bias and batch ` +
      `normalisation; with them the network has ${grouped(sum(layers, "trainable"))} parameters. Bytes are those of float32, each input and weight ` +
      `read once and each output written once. Pale bars: ${model_name(1, 224)}.`;
  };
  draw();
  root.append(
    result,
    make("section", {}, make("h3", { textContent: "Network" }),
      part("div", "form", part("div", "field published", part("span", "name", "published model"), published), ...sliders.map(({ row }) => row)),
      group("measures", "what the bars show", ...measures.map(({ label }) => label)), chart,
      part("div", "ends", ...["stem", "blocks", "classifier"].map((text) => make("span", { textContent: text }))),
      part("ul", "kinds", ...kinds.map(({ item }) => item))),
    details, note,
  );
  model.on("change", draw);
  return () => model.off("change", draw);
};

export default { render };
