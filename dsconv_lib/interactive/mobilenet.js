// MobileNetV1 as a list of layers with their counts: dsconv_lib/networks/mobilenet_v1.py by dsconv_lib/cost.py.

// Output channels and stride of the thirteen blocks.
const BLOCKS = [
  [64, 1], [128, 2], [128, 1], [256, 2], [256, 1], [512, 2], ...Array(5).fill([512, 1]), [1024, 2], [1024, 1],
];

const counted = (name, kind, in_channels, out_channels, in_size, kernel_size, stride) => {
  // The padding keeps the map of a step of 1: a zero on each side of 3 × 3, none around 1 × 1.
  const out_size = Math.floor((in_size - 1) / stride) + 1;
  const looked_at = kind === "depthwise" ? 1 : in_channels;
  const window = looked_at * kernel_size ** 2;
  const outputs = out_channels * out_size ** 2;
  const params = window * out_channels;
  return {
    name, kind, in_channels, out_channels, in_size, out_size, kernel_size, stride, looked_at, window, outputs, params,
    macs: window * outputs,
    // float32: each input and each weight read once, each output written once.
    bytes: 4 * (in_channels * in_size ** 2 + params + outputs),
    // With the classifier's bias; everywhere else, the two numbers per channel of batch normalisation.
    trainable: params + (kind === "linear" ? 1 : 2) * out_channels,
  };
};

export const network = (alpha, resolution) => {
  const scaled = (channels) => Math.max(8, Math.floor(channels * alpha));
  const layers = [counted("stem", "standard", 3, scaled(32), resolution, 3, 2)];
  BLOCKS.forEach(([width, stride], index) => {
    const { out_channels: channels, out_size: size } = layers.at(-1);
    const name = `block${index + 1}`;
    const depthwise = counted(`${name}.depthwise`, "depthwise", channels, channels, size, 3, stride);
    const pointwise = counted(`${name}.pointwise`, "pointwise", channels, scaled(width), depthwise.out_size, 1, 1);
    const twin = counted(`${name}.standard`, "standard", channels, scaled(width), size, 3, stride);
    const times = twin.macs / (depthwise.macs + pointwise.macs);
    layers.push({ ...depthwise, twin, times }, { ...pointwise, twin, times });
  });
  // The average has left a single pixel.
  layers.push(counted("classifier", "linear", layers.at(-1).out_channels, 1000, 1, 1, 1));
  return layers;
};

const sum = (layers, measure) => layers.reduce((all, layer) => all + layer[measure], 0);
const shape = (channels, size) => `${channels} × ${size} × ${size}`;
const modelName = (alpha, resolution) => `${alpha === 1 ? "1.0" : alpha} MobileNet-${resolution}`;
