// What a layer costs as a standard and as a separable convolution. The counts are those of dsconv_lib/cost.py.

// Made anew for each figure: two on a page share this module, and an element stands in one place only.
const D = (letter) => () => ["D", make("sub", {}, letter)];
const FIELDS = [
  { name: "in_size", title: "input size", symbol: D("F"), min: 1, max: 224 },
  { name: "kernel_size", title: "kernel size", symbol: D("K"), min: 1, max: 11 },
  { name: "in_channels", title: "input channels", symbol: () => ["M"], min: 1, max: 1024 },
  { name: "out_channels", title: "output channels", symbol: () => ["N"], min: 1, max: 1024 },
  { name: "stride", title: "stride", symbol: () => ["s"], min: 1, max: 4 },
  { name: "padding", title: "padding", symbol: () => ["p"], min: 0, max: 5,
    word: "same", number: ({ kernel_size }) => Math.floor(kernel_size / 2) },
  { name: "multiplier", title: "depth multiplier", symbol: () => ["μ"], min: 1, max: 8 },
];

const problem = ({ in_size, kernel_size, stride, padding }) => {
  if (padding === "same")
    return stride > 1
      ? `Padding “same” goes with stride 1 only, as in PyTorch. Untick it to choose a stride with a padding in numbers.`
      : "";
  const padded = in_size + 2 * padding;
  if (kernel_size <= padded) return "";
  return `A kernel of ${kernel_size} × ${kernel_size} does not fit into the padded input of ${padded} × ${padded}.`;
};

export const compute = ({ in_size, kernel_size, in_channels, out_channels, stride, padding, multiplier }) => {
  const zeros = padding === "same" ? kernel_size - 1 : 2 * padding;
  const out_size = Math.floor((in_size + zeros - kernel_size) / stride) + 1;
  const pixels = out_size ** 2;
  const taps = kernel_size ** 2;
  const middle = multiplier * in_channels;
  // Bytes of float32: each input and each weight read once, each output written once.
  const cost = (params, reads, writes) => ({ macs: params * pixels, params, bytes: 4 * (reads + params + writes) });
  const image = in_channels * in_size ** 2;
  const standard = cost(taps * in_channels * out_channels, image, out_channels * pixels);
  const depthwise = cost(taps * middle, image, middle * pixels);
  const pointwise = cost(middle * out_channels, middle * pixels, out_channels * pixels);
  const separable = Object.fromEntries(Object.keys(standard).map((key) => [key, depthwise[key] + pointwise[key]]));
  return { out_size, standard, depthwise, pointwise, separable };
};

const comparison = (standard, separable) => {
  if (standard > separable) return `${(standard / separable).toFixed(2)} times fewer`;
  return standard === separable ? "exactly as many" : `${(separable / standard).toFixed(2)} times as many`;
};

const STYLE = `
  .result { font-size: 1.1em; font-weight: 600; }
  .bar { display: flex; height: 1.5rem; margin-bottom: 0.6rem; }
  .bar div { background: var(--colour); transition: width 0.2s; }
  span:is(.standard, .depthwise, .pointwise) { border-bottom: 3px solid var(--colour); }
  .caption, .ratio { font-variant-numeric: tabular-nums; }
  .caption { margin: 0 0 0.3rem; }
`;

const render = ({ model, el }) => {
  const root = stage({ model, el }, TABLE_STYLE + STYLE);
  const { values, show, element } = form(model, FIELDS, problem);
  const result = announced("result");
  const bars = make("div", { ariaHidden: "true" });
  const ratio = make("p", { className: "ratio" });
  const costs = table("operation", "MACs", "weights", "bytes (float32)");
  const parts = ["standard", "depthwise", "pointwise"].map((name) => div(name));
  const captions = [0, 1].map(() => make("p", { className: "caption" }));
  bars.append(captions[0], div("bar", parts[0]), captions[1], div("bar", parts[1], parts[2]));
  const coloured = (name, ...content) => make("span", { className: name }, ...content);

  const draw = () => {
    show();
    const set = values();
    const { out_size, ...operations } = compute(set);
    const { standard, depthwise, pointwise, separable } = operations;
    result.textContent =
      `Standard: ${grouped(standard.macs)} MACs. Separable: ${grouped(depthwise.macs)} + ${grouped(pointwise.macs)} = ` +
      `${grouped(separable.macs)} MACs, ${comparison(standard.macs, separable.macs)}.`;
    const longest = Math.max(standard.macs, separable.macs);
    for (const part of parts) part.style.width = `${(100 * operations[part.className].macs) / longest}%`;
    captions[0].replaceChildren(coloured("standard", "standard"), ` ${grouped(standard.macs)}`);
    captions[1].replaceChildren(
      coloured("depthwise", "depthwise"), ` ${grouped(depthwise.macs)} + `,
      coloured("pointwise", "pointwise"), ` ${grouped(pointwise.macs)}`,
    );
    const { multiplier, out_channels, kernel_size } = set;
    const factor = multiplier === 1 ? "1" : "μ";
    const shares = [multiplier / out_channels, multiplier / kernel_size ** 2];
    ratio.replaceChildren(
      "Separable over standard: ",
      coloured("depthwise", `${factor}/`, make("i", {}, "N")), " + ",
      coloured("pointwise", `${factor}/`, make("i", {}, ...D("K")()), "²"),
      ` = ${multiplier}/${out_channels} + ${multiplier}/${kernel_size ** 2}`,
      ` = ${shares[0].toFixed(4)} + ${shares[1].toFixed(4)} = ${(shares[0] + shares[1]).toFixed(4)}, `,
      `for the MACs and for the weights. The output is ${out_size} × ${out_size}.`,
    );
    costs.fill(Object.entries(operations).map(([name, { macs, params, bytes }]) =>
      [coloured(name, name), ...[macs, params, bytes].map(grouped)]));
  };
  root.append(result, bars, ratio, element, costs.element);
  return follow(model, draw);
};

export default { render };
