// MobileNetV1 on three levels: its layers, one of them, and the window of one output number.

const KINDS = { standard: "stem", depthwise: "depthwise", pointwise: "pointwise", linear: "classifier" };
const MEASURES = {
  macs: { unit: "MACs", verbs: ["make", "makes"], parts: ({ outputs }) => [outputs, "output numbers"] },
  params: { unit: "weights", verbs: ["hold", "holds"], parts: ({ out_channels }) => [out_channels, "output channels"] },
  bytes: { unit: "bytes", verbs: ["move", "moves"], parts: ({ bytes }) => [bytes / 4, "numbers"] },
};

const percent = (part, whole) => `${((100 * part) / whole).toFixed(2)}\u00a0%`;
const halves = ({ name }) => name.replace("block", "").split(".");
const title = (layer) => (layer.twin ? `block ${halves(layer).join(", ")}` : layer.name);
const ofKind = (layers, kind, measure) => sum(layers.filter((layer) => layer.kind === kind), measure);

const part = (tag, className, ...children) => make(tag, { className }, ...children);
const heading = (textContent) => make("h3", { textContent });
const radios = (className, ariaLabel, ...children) =>
  make("div", { className, role: "radiogroup", ariaLabel }, ...children);

const sentence = (layers, layer, measure) => {
  const { unit, verbs: [make, makes], parts } = MEASURES[measure];
  const [block, half] = halves(layer);
  const [count, what] = parts(layer);
  const whole = sum(layers, measure);
  const share = percent(ofKind(layers, layer.kind, measure), whole);
  return (
    `The ${half ? `${half} layers ${make}` : `${block} ${makes}`} ${share} of the ${grouped(whole)} ${unit}. ` +
    `${half ? `The one in block ${block}` : "It"} ${makes} ${grouped(layer[measure])}: ` +
    `${grouped(layer[measure] / count)} for each of its ${grouped(count)} ${what}.`
  );
};

// The MACs as factors, those of the window and then those that count the output numbers: in letters, then in numbers.
const product = ({ kind, in_channels, out_channels, kernel_size, out_size }) => {
  const D = (letter) => make("span", {}, make("i", {}, "D", make("sub", {}, letter)), "²");
  const taps = [D("K"), `${kernel_size}²`];
  const inputs = [make("i", {}, "M"), in_channels];
  const filters = [make("i", {}, "N"), out_channels];
  const pixels = [D("G"), `${out_size}²`];
  const [looks, gives] = {
    standard: [[taps, inputs], [filters, pixels]],
    depthwise: [[taps], [inputs, pixels]],
    pointwise: [[inputs], [filters, pixels]],
    linear: [[inputs], [filters]],
  }[kind];
  const written = (name, factors, column) =>
    part("span", name, ...factors.flatMap((factor) => [" · ", factor[column]]).slice(1));
  const side = (column) => [written("looks", looks, column), " · ", written("gives", gives, column)];
  return [...side(0), " = ", ...side(1)];
};

const networkLevel = (model, choose) => {
  const full = network(1, 224);
  const radio = (name, value) =>
    make("input", { type: "radio", name, value, onchange: () => choose({ [name]: value }) });

  const published = make("select", { ariaLabel: "published model" },
    make("option", { value: "", textContent: "none of the 16", hidden: true }));
  for (const alpha of [1, 0.75, 0.5, 0.25])
    for (const side of [224, 192, 160, 128])
      published.append(make("option", { value: `${alpha} ${side}`, textContent: modelName(alpha, side) }));
  published.onchange = () => {
    const [alpha, resolution] = published.value.split(" ").map(Number);
    choose({ alpha, resolution });
  };
  const sliders = [
    { name: "alpha", words: "width multiplier", letter: "α", min: 0.25, max: 1, step: 0.01 },
    { name: "resolution", words: "image side", letter: "ρ · 224", min: 32, max: 224, step: 8 },
  ].map(({ name, words, letter, ...range }) => {
    const slider = make("input", { type: "range", ...range, ariaLabel: words });
    slider.oninput = () => choose({ [name]: slider.valueAsNumber });
    const value = make("output");
    const row = div("field", part("span", "name", words, make("i", {}, letter)), slider, value);
    return { name, slider, value, row };
  });
  const measures = Object.entries(MEASURES).map(([name, { unit }]) => {
    const input = radio("measure", name), count = make("b");
    return { name, input, count, label: make("label", {}, input, unit, count) };
  });
  const bars = full.map(({ name, kind }) => {
    const input = radio("layer", name), ghost = div("full"), fill = div("fill");
    return { input, ghost, fill, label: part("label", `bar ${kind}`, input, ghost, fill) };
  });
  const blocks = [[bars[0]], ...BLOCKS.map((_, i) => bars.slice(2 * i + 1, 2 * i + 3)), [bars.at(-1)]];
  const chart = radios("bars", "layer", ...blocks.map((pair, i) =>
    div("block", ...pair.map(({ label }) => label),
      make("span", { ariaHidden: "true", textContent: pair.length > 1 ? i : "" }))));
  // A finger or a pressed mouse that moves over the bars chooses the one below it.
  chart.onpointermove = ({ buttons, clientX, clientY }) => {
    const below = buttons && chart.getRootNode().elementFromPoint(clientX, clientY)?.closest(".bar");
    const bar = bars.find(({ label }) => label === below);
    if (bar) choose({ layer: bar.input.value });
  };
  const kinds = Object.entries(KINDS).map(([kind, words]) => ({ kind, words, item: part("li", kind) }));

  const draw = (layers, layer, measure) => {
    const longest = Math.max(...full.map((one) => one[measure]));
    for (const { name, slider, value } of sliders) value.value = slider.value = model.get(name);
    published.value = `${model.get("alpha")} ${model.get("resolution")}`;
    if (published.selectedIndex < 0) published.value = "";
    for (const { name, input, count } of measures) {
      input.checked = name === measure;
      count.textContent = grouped(sum(layers, name));
    }
    bars.forEach(({ input, ghost, fill }, index) => {
      const count = layers[index][measure];
      input.checked = layers[index] === layer;
      input.ariaLabel = `${title(layers[index])}: ${grouped(count)} ${MEASURES[measure].unit}`;
      ghost.style.height = `${(100 * full[index][measure]) / longest}%`;
      fill.style.height = `${(100 * count) / longest}%`;
    });
    for (const { kind, words, item } of kinds) {
      const count = ofKind(layers, kind, measure);
      item.classList.toggle("chosen", kind === layer.kind);
      item.replaceChildren(words, make("br"), grouped(count), make("br"), percent(count, sum(layers, measure)));
    }
  };
  const element = make("section", {}, heading("Network"),
    div("form", div("field published", part("span", "name", "published model"), published),
      ...sliders.map(({ row }) => row)),
    radios("measures", "what the bars show", ...measures.map(({ label }) => label)),
    chart, div("ends", ...["stem", "blocks", "classifier"].map((end) => make("span", {}, end))),
    part("ul", "kinds", ...kinds.map(({ item }) => item)));
  return { element, draw };
};

const layerLevel = (model, choose) => {
  const names = network(1, 224).map(({ name }) => name);
  const step = (by) => choose({ layer: names.at((names.indexOf(model.get("layer")) + by) % names.length) });
  const button = (ariaLabel, textContent, by) =>
    make("button", { type: "button", ariaLabel, textContent, onclick: () => step(by) });
  const name = make("span"), sizes = make("p"), macs = make("p"), body = make("tbody"), twin = part("p", "twin");
  const columns = ["this layer", "share", part("span", "standard", "standard")];
  const head = make("tr", {}, make("td"), ...columns.map((text) => make("th", { scope: "col" }, text)));

  const draw = (layers, layer) => {
    const { in_channels, in_size, out_channels, out_size, kernel_size, stride } = layer;
    name.textContent = title(layer);
    sizes.replaceChildren(
      `${shape(in_channels, in_size)} → ${shape(out_channels, out_size)}`, make("br"),
      `kernel ${kernel_size} × ${kernel_size}, stride ${stride}`);
    macs.replaceChildren(...product(layer), make("br"), `= ${grouped(layer.macs)} MACs`);
    body.replaceChildren(...Object.entries(MEASURES).map(([measure, { unit }]) => {
      const count = layer[measure], standard = (layer.twin ?? layer)[measure];
      const cells = [grouped(count), percent(count, sum(layers, measure)), grouped(standard)];
      return make("tr", {}, make("th", { scope: "row" }, unit), ...cells.map((text) => make("td", {}, text)));
    }));
    twin.textContent = layer.twin
      ? `Standard: one 3 × 3 convolution in the place of block ${halves(layer)[0]}’s two layers. ` +
        `It makes ${layer.times.toFixed(2)} times the MACs of the two.`
      : `Standard: MobileNet with standard convolutions keeps the ${layer.name} as it is.`;
  };
  const element = make("section", {},
    div("head", heading("Layer"), button("previous layer", "‹", -1), button("next layer", "›", 1)),
    make("b", {}, name), sizes, macs, make("table", {}, make("thead", {}, head), body));
  return { element, twin, draw };
};

const windowLevel = () => {
  const drawing = make("div", { ariaHidden: "true" }), list = make("dl");
  const draw = (layers, layer) => {
    const { window, outputs, macs, looked_at, kernel_size, out_channels, out_size } = layer;
    drawing.innerHTML = picture(layer);
    list.replaceChildren(
      make("dt", {}, part("span", "looks", grouped(window))),
      make("dd", {}, "multiplications each:", make("br"), shape(looked_at, kernel_size)),
      make("dt", {}, "× ", part("span", "gives", grouped(outputs))),
      make("dd", {}, "output numbers:", make("br"), shape(out_channels, out_size)),
      make("dt", {}, `= ${grouped(macs)}`), make("dd", {}, "MACs"));
  };
  return { element: part("section", "window", heading("Window of one output number"), drawing, list), draw };
};

const render = ({ model, el }) => {
  const root = stage({ model, el }, STYLE);
  const choose = (values) => change(model, values);
  const result = announced("result"), note = part("p", "note");
  const levels = [networkLevel(model, choose), layerLevel(model, choose), windowLevel()];
  const [whole, one, window] = levels;
  const details = div("details", one.element, one.twin, window.element);

  const draw = () => {
    const measure = model.get("measure");
    const layers = network(model.get("alpha"), model.get("resolution"));
    const layer = layers.find(({ name }) => name === model.get("layer"));
    result.textContent = sentence(layers, layer, measure);
    details.className = `details ${layer.kind}`;
    for (const level of levels) level.draw(layers, layer, measure);
    note.textContent =
      `Sizes are channels × height × width. One multiply-add is 1 MAC, on padding zeros too. Weights are counted ` +
      `without bias and batch normalisation; with them the network has ${grouped(sum(layers, "trainable"))} ` +
      `parameters. Bytes are those of float32, each input and weight read once and each output written once. ` +
      `Pale bars: ${modelName(1, 224)}.`;
  };
  root.append(result, whole.element, details, note);
  return follow(model, draw);
};

const STYLE = `
  .linear { --colour: #777; }
  .figure { --line: color-mix(in srgb, currentcolor 30%, transparent); --tint: color-mix(in srgb, currentcolor 12%, transparent); }
  .figure, output { font-variant-numeric: tabular-nums; }
  .result { min-height: 4.5em; font-size: 1.1em; font-weight: 600; }
  h3 { margin: 0.25rem 0; font-size: 1em; line-height: 44px; }
  section { border-top: 1px solid var(--line); }
  input { accent-color: currentcolor; }
  select, button {
    min-width: 0; min-height: 44px; padding: 0 0.6rem; border: 1px solid currentcolor; border-radius: 6px;
    background: transparent; font: inherit; color: inherit;
  }
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
  .block span { grid-column: 1 / -1; }
  :is(select, button):focus-visible, .figure label:has(:focus-visible) { outline: 3px solid currentcolor; outline-offset: 3px; }
  .ends { display: flex; justify-content: space-between; font-size: 0.75em; }
  .kinds { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.5rem; margin: 0.5rem 0 1rem; padding: 0; line-height: 1.3; }
  .kinds li { padding-left: 0.5rem; list-style: none; border-left: 6px solid var(--colour); }
  .kinds .chosen { background: var(--tint); }
  .details { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem; }
  .head { display: grid; grid-template-columns: 1fr 44px 44px; gap: 0.5rem; align-items: center; }
  .window { order: 1; }
  .twin { grid-column: 1 / -1; order: 2; min-height: 3em; margin: 0.5rem 0; }
  .gives { --colour: #a05cb4; }
  :is(.looks, .gives, b span, th span) { border-bottom: 3px solid var(--colour); fill: var(--colour); }
  table { width: 100%; table-layout: fixed; border-collapse: collapse; font-size: 0.9em; }
  :is(th, td) { padding: 0.25rem 0 0.25rem 0.25rem; border-bottom: 1px solid var(--line); text-align: right; }
  th:first-child { padding-left: 0; text-align: left; }
  td:first-child { width: 18%; }
  th:nth-child(2) { width: 27%; }
  th:nth-child(3) { width: 20%; }
  svg { display: block; max-width: 24rem; margin: 0.5rem auto; fill: currentcolor; font-size: 13px; text-anchor: middle; }
  polyline { fill: none; stroke: currentcolor; stroke-width: 1.5; stroke-dasharray: 3 3; }
  .sheet { fill: currentcolor; fill-opacity: 0.08; stroke: currentcolor; stroke-opacity: 0.6; }
  rect:is(.looks, .gives) { stroke: #fff; }
  dl { display: grid; grid-template-columns: auto 1fr; gap: 0 0.75rem; margin: 0 0 0.75rem; }
  :is(output, dt) { text-align: right; }
  dd { margin: 0; }
  .note { margin: 0.75rem 0 0; font-size: 0.9em; }
  @container (max-width: 32rem) {
    .result { min-height: 7.5em; font-size: 1em; }
    .kinds { grid-template-columns: 1fr 1fr; }
    .details { grid-template-columns: 100%; }
    .window, .twin { order: 0; }
    .twin { min-height: 4.5em; }
    .published { grid-template-columns: 1fr; }
    .measures { gap: 0.25rem; }
    .measures label { padding: 0.4rem 0.3rem; font-size: 0.85em; }
  }
`;

export default { render };
