"""The profile of a model as a table, and what to ask of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from dsconv_lib.profile.ledger import Ledger
from dsconv_lib.profile.run import Meter, differentiate, inputs_of, undisturbed
from dsconv_lib.spec import require_int


def profile(
    model: nn.Module,
    input_size: Sequence[int] | Tensor | tuple[Tensor, ...],
    *,
    batch: int = 1,
    backward: bool = False,
) -> pd.DataFrame:
    """Run `model` once, as for inference, and lay out what each operation with weights or products costs.

    >>> layer = nn.Conv2d(4, 4, 3, groups=4)
    >>> profile(layer, (4, 8, 8))[["operation", "output", "macs", "params"]]
       operation output  macs  params
    0  depthwise  4x6x6  1296      40

    Args:
        model: any torch module, on any device. Its weights, buffers, modes, gradients and hooks stay as they were.
        input_size: shape of one input without the batch, such as (3, 224, 224), to run on zeros. Or the input itself,
            where the model wants several, or integers: a tensor or a tuple of tensors, with their batch.
        batch: number of inputs B; the counts are those of the whole batch.
        backward: also let autograd compute the gradient of all outputs with respect to the trainable weights, and
            with respect to an input tensor that requires one. A layer that nothing trainable stands before computes
            no gradient for its input, so it costs two forward passes in all and not three.

    Returns:
        One row per operation, in the order of the forward pass, in columns
        layer (name of the innermost module that ran it), type (that module's class),
        operation (standard, grouped, depthwise, pointwise or transposed convolution; linear, a product with a weight;
        matmul, a product of activations; a kind of `operations.FREE` where it holds weights, with 0 MACs; or
        torch's own name of what cannot be counted),
        output (shape without the batch),
        macs (missing where unknown), params (trainable, bias included, each where it is first used and once),
        reads and writes (activations: elements of the inputs that are no weight, and of the output; where "same"
        padding is uneven torch pads first, and the input is the padded one) and
        bytes (of reads, writes and weights without bias; like the two before it 0 where the MACs are free).
        With `backward` also backward (MACs of the gradients) and total (macs + backward).

    Warns:
        UserWarning: naming the operations that cannot be counted. `uncounted` gives their rows.

    Raises:
        SpecError: if `batch` is not a positive integer, or other than 1 with an input that has its own.
    """
    inputs = inputs_of(model, input_size, require_int("batch", batch))
    ledger = Ledger(model, len(inputs[0]) if inputs[0].ndim else 1)
    meter = Meter(ledger.forward)
    with undisturbed(model), ledger.following(model), torch.set_grad_enabled(backward), meter:
        outputs = model(*inputs)
        if backward:
            meter.write = ledger.backward
            differentiate(model, inputs, outputs)
    columns = ["layer", "type", "operation", "output", "macs", "params", "reads", "writes", "bytes"]
    columns += ["backward"] * backward
    table = pd.DataFrame([vars(row.run) | vars(row) for row in ledger.rows], columns=columns)
    table = table.astype(dict.fromkeys(columns[4:], "Int64"))
    if backward:
        table["total"] = table["macs"] + table["backward"]
    unknown = uncounted(table)[["layer", "operation"]].drop_duplicates()
    if len(unknown):
        what = ", ".join(f"{name} in {layer or 'the model'}" for layer, name in unknown.to_numpy())
        warnings.warn(f"not counted, and missing from every sum: {what}", stacklevel=2)
    return table


def uncounted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a profile whose MACs are not known, forward or backward.

    >>> uncounted(profile(nn.ReLU(), (4,))).empty
    True
    """
    return table[table[[c for c in ("macs", "backward") if c in table]].isna().any(axis=1)]


def by_type(table: pd.DataFrame) -> pd.DataFrame:
    """Sum a profile over each operation (standard, depthwise, pointwise, linear, ...), in order of appearance.

    >>> model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 10))
    >>> by_type(profile(model, (4, 8, 8)))["macs"].to_dict()
    {'standard': 7488, 'linear': 640}

    Returns:
        One row per operation, its name as the index: rows, how many there were, and the sums of the profile's
        numbers. A sum with a missing summand is missing.
    """
    groups = table.groupby("operation", sort=False)
    numbers = table.columns[4:]
    sums = groups[list(numbers)].agg(lambda column: column.sum(skipna=False))
    sums.insert(0, "rows", groups.size())
    return sums.astype("Int64")
