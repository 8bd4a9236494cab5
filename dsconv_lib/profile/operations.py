"""What torch's operations are called, and what each costs: convolutions and matrix products, and all that is free."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

_FREE_NAMES = {
    "normalisation": """native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training
        _batch_norm_with_update _batch_norm_no_update batch_norm cudnn_batch_norm miopen_batch_norm native_layer_norm
        native_group_norm _fused_rms_norm _weight_norm_interface""",
    "pooling": """avg_pool1d avg_pool2d avg_pool3d max_pool2d max_pool2d_with_indices max_pool3d_with_indices
        _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d max_unpool2d max_unpool3d""",
    "softmax": "_softmax _log_softmax _safe_softmax softmax log_softmax logsumexp",
    "reduction": """sum mean prod amax amin aminmax max min any all var var_mean std std_mean norm linalg_vector_norm
        nansum cumsum cumprod cummax cummin argmax argmin count_nonzero median nanmedian kthvalue mode equal
        mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy nll_loss_forward nll_loss nll_loss2d_forward
        nll_loss2d""",
    "element-wise": """glu hardswish prelu _prelu_kernel rrelu_with_noise native_dropout _fused_dropout log_sigmoid
        log_sigmoid_forward _thnn_fused_lstm_cell _thnn_fused_lstm_cell_impl _thnn_fused_gru_cell clamp where""",
    "rearranging": """clone copy _copy_from _to_copy contiguous cat stack repeat repeat_interleave _unsafe_view view
        reshape _reshape_copy unsafe_split unsafe_split_with_sizes split_with_sizes_copy constant_pad_nd
        reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d roll
        flip rot90 im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle tril triu diag_embed diagonal select
        slice select_scatter slice_scatter diagonal_scatter as_strided_scatter index _unsafe_index index_select
        index_put _index_put_impl _unsafe_index_put index_copy index_fill index_add gather scatter scatter_add
        scatter_reduce masked_fill masked_select masked_scatter take put embedding embedding_dense embedding_renorm
        nonzero sort topk searchsorted bucketize unfold upsample_nearest1d upsample_nearest2d upsample_nearest3d
        _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d lift_fresh lift_fresh_copy
        set resize""",
    "constants": """empty empty_like empty_strided empty_permuted new_empty new_empty_strided new_zeros new_ones
        new_full zeros zeros_like zero ones ones_like full full_like fill eye arange linspace scalar_tensor
        tril_indices triu_indices _efficientzerotensor""",
    "random": """rand rand_like randn randn_like randint randint_like randperm uniform normal bernoulli exponential
        multinomial random""",
    "bookkeeping": "_local_scalar_dense is_same_size sym_size sym_numel sym_stride _assert_async record_stream item",
}
# Operation of torch, without the underscore of its in-place form and without "_backward": why it is free.
FREE = {name: kind for kind, names in _FREE_NAMES.items() for name in names.split()}
CONVOLUTIONS = frozenset({"convolution", "_convolution"})
# Where the first of the two factors stands: in addmm(bias, x, weight) it is the second argument.
PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "vdot": 0} | dict.fromkeys(
    ("addmm", "baddbmm", "addbmm", "addmv"), 1
)
# Their gradients are outer products, which autograd writes as broadcast element-wise ones.
VECTOR_PRODUCTS = frozenset({"mv", "addmv", "dot", "vdot"})
COUNTED = CONVOLUTIONS | PRODUCTS.keys()


class Cost(NamedTuple):
    """What one operation makes: `factors` are the tensors that it multiplies, None MACs are not known."""

    kind: str
    macs: int | None
    factors: tuple[Tensor, ...] = ()


def name_of(func: Any) -> str:
    """Name an operation: of torch's own in short, of another library as "library::operation"."""
    return str(func._schema.name.removeprefix("aten::"))


def base(name: str) -> str:
    """Strip an operation of the marks of its gradient and of its in-place form.

    >>> base("add_"), base("mm"), base("threshold_backward")
    ('add', 'mm', 'threshold')
    """
    return name.removesuffix("_data").removesuffix("_backward").rstrip("_")


@cache
def why_free(func: Any) -> str | None:
    """Return the kind of an operation that is free by convention, None of any other.

    >>> why_free(torch.ops.aten.max_pool2d.default)
    'pooling'
    """
    name = name_of(func)
    if func.is_view or torch.Tag.inplace_view in func.tags:
        return "rearranging"
    # What goes element by element has a gradient and an in-place form that do so too.
    plain = None if "::" in name else getattr(torch.ops.aten, base(name), None)
    forms = [func, *(getattr(plain, form) for form in (plain.overloads() if plain else []))]
    if any(torch.Tag.pointwise in form.tags for form in forms):
        return "element-wise"
    return "bookkeeping" if name.startswith("profiler::") else FREE.get(base(name))


def cost_of(name: str, args: tuple[Any, ...], output: Tensor) -> Cost:
    """Count one of `COUNTED`, or its gradient, from the arguments and the (first) output of torch's operation."""
    if name == "convolution_backward":
        gradient, x, weight, transposed, wanted = *args[:3], args[7], args[10]
        # Each gradient pairs the same inputs, outputs and weights as the forward pass.
        macs = _pairs(x if transposed else gradient, weight) * sum(wanted[:2])
        return Cost("gradient", macs, (x, weight))
    if base(name) in CONVOLUTIONS:
        x, weight, transposed, groups = args[0], args[1], args[6], args[8]
        macs = _pairs(x if transposed else output, weight)
        return Cost(_kind(x, weight, transposed, groups), macs, (x, weight))
    first = PRODUCTS[base(name)]
    a, b = args[first : first + 2]
    macs = a.numel() * (b.shape[-1] if b.ndim > 1 else 1)
    return Cost("matmul", macs, (a, b))


def _kind(x: Tensor, weight: Tensor, transposed: bool, groups: int) -> str:
    if transposed:
        return "transposed"
    if groups > 1:
        return "depthwise" if groups == x.shape[1] else "grouped"
    return "pointwise" if prod(weight.shape[2:]) == 1 else "standard"


def _pairs(tensor: Tensor, weight: Tensor) -> int:
    """MACs of a convolution: every weight once at each position of the side that the kernel slides over."""
    return tensor.shape[0] * prod(tensor.shape[2:]) * weight.numel()
