"""What a torch model costs, layer by layer, read off the operations that torch really runs.

Every module and function of torch ends in a few hundred basic operations. A `TorchDispatchMode` sees each of them, with
its tensors, forward and backward, whatever wrote it: `nn.Conv2d`, `F.conv2d`, `torch.einsum` or attention. Three sorts:

- counted: convolutions and matrix products, by the convention of `cost`;
- free by convention: element by element, normalisation, pooling, sums, softmax, rearranging (`FREE`);
- all others. What they multiply is not known: they are named, and their count is missing, never 0.

What a model computes outside torch's operations, in NumPy or in a kernel of its own, is not seen. A convolution written
as element-wise products and a sum is free, as each of its parts is.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dsconv_lib.spec import SpecError, require_int

# Where the first of the two factors stands: in addmm(bias, x, weight) it is the second argument.
PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "vdot": 0} | dict.fromkeys(
    ("addmm", "baddbmm", "addbmm", "addmv"), 1
)
# Their gradients are outer products, which autograd writes as broadcast element-wise ones.
VECTOR_PRODUCTS = frozenset({"mv", "addmv", "dot", "vdot"})

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

CONVOLUTIONS = frozenset({"convolution", "_convolution", "convolution_backward"})

_COUNTS = ["macs", "params", "reads", "writes", "bytes"]


def profile(
    model: nn.Module,
    input_size: Sequence[int] | Tensor | tuple[Tensor, ...],
    *,
    batch: int = 1,
    backward: bool = False,
) -> pd.DataFrame:
    """Run `model` once, as for inference, and lay out what each operation with weights or products costs.

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
        matmul, a product of activations; a kind of `FREE` where it holds weights, with 0 MACs; or torch's own name
        of what cannot be counted),
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
    inputs = _inputs(model, input_size, require_int("batch", batch))
    meter = _Meter(model, len(inputs[0]) if inputs[0].ndim else 1)
    with _undisturbed(model), meter.named(model), torch.set_grad_enabled(backward), meter:
        outputs = model(*inputs)
        if backward:
            meter.in_backward = True
            _differentiate(model, inputs, outputs)
    columns = ["layer", "type", "operation", "output", *_COUNTS]
    columns += ["backward", "total"] if backward else []
    table = pd.DataFrame([row.cells() for row in meter.rows], columns=columns)
    table = table.astype(dict.fromkeys(columns[4:], "Int64"))
    unknown = uncounted(table)
    if len(unknown):
        what = ", ".join(
            f"{operation} in {layer or 'the model'}"
            for layer, operation in dict.fromkeys(
                zip(unknown["layer"], unknown["operation"], strict=True)
            )
        )
        warnings.warn(f"not counted, and missing from every sum: {what}", stacklevel=2)
    return table


def uncounted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a profile whose MACs are not known, forward or backward."""
    return table[table[[c for c in ("macs", "backward") if c in table]].isna().any(axis=1)]


def by_type(table: pd.DataFrame) -> pd.DataFrame:
    """Sum a profile over each operation (standard, depthwise, pointwise, linear, ...), in order of appearance.

    Returns:
        One row per operation, its name as the index: rows, how many there were, and the sums of the profile's
        numbers. A sum with a missing summand is missing.
    """
    groups = table.groupby("operation", sort=False)
    numbers = table.columns[4:]
    sums = groups[list(numbers)].agg(lambda column: column.sum(skipna=False))
    sums.insert(0, "rows", groups.size())
    return sums.astype("Int64")


# --- the meter -------------------------------------------------------------------------------


class _Cost(NamedTuple):
    """What one operation makes: `factors` are the tensors that it multiplies, None MACs are not known."""

    kind: str
    macs: int | None
    factors: tuple[Tensor, ...] = ()


@dataclass
class _Run:
    """One run of one module, and the rows of the operations right in it."""

    layer: str
    type: str
    rows: list[_Row] = field(default_factory=list)


@dataclass(kw_only=True)
class _Row:
    """One line of the table; None is a number that is not known."""

    run: _Run
    operation: str
    output: str
    elements: int
    macs: int | None
    params: int = 0
    reads: int | None = 0
    writes: int | None = 0
    bytes: int | None = 0
    backward: int | None = 0
    vectors: bool = False

    def cells(self) -> dict[str, object]:
        unknown = self.macs is None or self.backward is None
        total = None if unknown else (self.macs or 0) + (self.backward or 0)
        names = ("operation", "output", "backward", *_COUNTS)
        cells: dict[str, object] = {name: getattr(self, name) for name in names}
        return cells | {"layer": self.run.layer, "type": self.run.type, "total": total}


class _Meter(TorchDispatchMode):
    """While it is on, write a row for each operation that has products, holds weights or is unknown."""

    def __init__(self, model: nn.Module, batch: int) -> None:
        super().__init__()
        self.batch = batch
        self.rows: list[_Row] = []
        self.in_backward = False
        self.running = [_Run("", type(model).__name__)]
        # Autograd numbers the steps that it will go back through: where the step of each number was made.
        self.origins: dict[int, _Run | _Row] = {}
        # By storage: the parameters in a weight, whether it is one or is computed from nothing else.
        self.weights: dict[int, frozenset[nn.Parameter]] = {}
        self.kept: list[Tensor] = []  # or another tensor would get the storage of a weight
        for tensor in model.buffers():
            self._remember(tensor, frozenset())
        for parameter in model.parameters():
            self._remember(parameter, frozenset({parameter}))
        self.uncounted = {p for p in model.parameters() if p.requires_grad}

    @contextmanager
    def named(self, model: nn.Module) -> Iterator[None]:
        """Follow which module is running."""

        def enter(name: str, module: nn.Module) -> None:
            self.running.append(_Run(name, type(module).__name__))

        def leave(output: object) -> None:
            run = self.running.pop()
            if isinstance(output, Tensor):
                # A product sees (batch * positions, features); its layer may return them in more dimensions.
                same = [row for row in run.rows if row.elements == output.numel()]
                if same:
                    same[-1].output = self._shape(output)

        with ExitStack() as stack:
            for name, module in model.named_modules():
                before = module.register_forward_pre_hook(
                    lambda module, _, name=name: enter(name, module), prepend=True
                )
                stack.callback(before.remove)
                # Also after an exception: the model may catch it.
                after = module.register_forward_hook(
                    lambda _, __, output: leave(output), always_call=True
                )
                stack.callback(after.remove)
            yield

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Spare the first profile the seconds in which torch would import its compiler; see `_undisturbed`."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run one operation of torch and write down what it cost."""
        kwargs = kwargs or {}
        name = _name(func)
        product = name in CONVOLUTIONS or _base(name) in PRODUCTS
        free = None if product else _why_free(func)
        if not product and free is None:
            # Under inference_mode an operation that is made of others arrives in one piece.
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        outputs = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        if product and all(t.layout == torch.strided for t in tensors):
            cost = self._multiplied(name, args, outputs[0])
        elif free:
            cost = _Cost(free, 0)
        else:
            cost = _Cost(name.replace("::", ".") if "::" in name else f"aten.{name}", None)
        write = self._write_backward if self.in_backward else self._write_forward
        write(name, cost, tensors, outputs)
        return result

    def _multiplied(self, name: str, args: tuple[Any, ...], output: Tensor) -> _Cost:
        if name == "convolution_backward":
            gradient, x, weight, transposed, wanted = *args[:3], args[7], args[10]
            # Each gradient pairs the same inputs, outputs and weights as the forward pass.
            macs = _pairs(x if transposed else gradient, weight) * sum(wanted[:2])
            return _Cost("gradient", macs, (x, weight))
        if name in CONVOLUTIONS:
            x, weight, transposed, groups = args[0], args[1], args[6], args[8]
            macs = _pairs(x if transposed else output, weight)
            return _Cost(_convolution_kind(x, weight, transposed, groups), macs, (x, weight))
        first = PRODUCTS[_base(name)]
        a, b = args[first : first + 2]
        macs = a.numel() * (b.shape[-1] if b.ndim > 1 else 1)
        linear = self._in_weight(a) is not None or self._in_weight(b) is not None
        return _Cost("linear" if linear else "matmul", macs, (a, b))

    def _write_forward(
        self, name: str, cost: _Cost, tensors: list[Tensor], outputs: list[Tensor]
    ) -> None:
        run = self.running[-1]
        # The step that autograd has just made for this operation, if it has made one.
        step = torch._C._autograd._get_sequence_nr() - 1
        self.origins.setdefault(step, run)
        inside = [self._in_weight(t) for t in tensors]
        parameters = frozenset[nn.Parameter]().union(*(p for p in inside if p))
        free = cost.macs == 0 and not cost.factors
        if free and tensors and None not in inside:
            for output in outputs:
                self._remember(output, parameters)
        elif not free or parameters:
            last = run.rows[-1] if run.rows else None
            # A bias that is added to a product afterwards belongs to it.
            bias = free and _base(name) == "add"
            row = last if bias and last and last.macs != 0 else self._row(run, cost, outputs)
            row.vectors |= _base(name) in VECTOR_PRODUCTS
            row.params += sum(p.numel() for p in parameters & self.uncounted)
            self.uncounted -= parameters
            if isinstance(self.origins[step], _Run):
                self.origins[step] = row

    def _write_backward(
        self, name: str, cost: _Cost, tensors: list[Tensor], outputs: list[Tensor]
    ) -> None:
        step = torch._C._current_autograd_node()
        origin = self.origins.get(step._sequence_nr()) if step else None
        macs = cost.macs
        if isinstance(origin, _Row) and origin.vectors and name == "mul" and len(tensors) == 2:
            macs = outputs[0].numel()
        if macs == 0:
            return
        if not isinstance(origin, _Row):
            free = _Cost(cost.kind, 0)
            origin = self._row(origin or self.running[-1], free, outputs)
        known = macs is not None and origin.backward is not None
        origin.backward = (origin.backward or 0) + (macs or 0) if known else None

    def _row(self, run: _Run, cost: _Cost, outputs: list[Tensor]) -> _Row:
        row = _Row(
            run=run,
            operation=cost.kind,
            output=self._shape(outputs[0]) if outputs else "",
            elements=outputs[0].numel() if outputs else 0,
            macs=cost.macs,
        )
        if cost.factors:
            # In a convolution the second factor is a weight, wherever it comes from.
            activations = [
                t
                for t in cost.factors
                if self._in_weight(t) is None
                and (cost.kind in ("linear", "matmul") or t is cost.factors[0])
            ]
            row.reads = sum(t.numel() for t in activations)
            row.writes = row.elements
            row.bytes = sum(t.numel() * t.element_size() for t in (*cost.factors, outputs[0]))
        elif cost.macs is None:
            row.reads = row.writes = row.bytes = None
        self.rows.append(row)
        run.rows.append(row)
        return row

    def _shape(self, output: Tensor) -> str:
        """Write a shape without the batch, also where the batch shares its dimension with something else."""
        first, *rest = output.shape or (1,)
        first = first if first % self.batch else first // self.batch
        return "x".join(map(str, rest if first == 1 else [first, *rest]))

    def _remember(self, tensor: Tensor, parameters: frozenset[nn.Parameter]) -> None:
        storage = _storage(tensor)
        if storage is not None:
            self.weights[storage] = self.weights.get(storage, frozenset()) | parameters
            self.kept.append(tensor)

    def _in_weight(self, tensor: Tensor) -> frozenset[nn.Parameter] | None:
        """Return the parameters in a weight, none for a buffer; None if the tensor is an activation."""
        storage = _storage(tensor)
        return None if storage is None else self.weights.get(storage)


def _name(func: Any) -> str:
    """Name an operation: of torch's own in short, of another library as "library::operation"."""
    return str(func._schema.name.removeprefix("aten::"))


def _base(name: str) -> str:
    """Strip an operation of the marks of its gradient and of its in-place form."""
    return name.removesuffix("_data").removesuffix("_backward").rstrip("_")


@cache
def _why_free(func: Any) -> str | None:
    """Return the kind of an operation that is free by convention, None of any other."""
    name = _name(func)
    if func.is_view or torch.Tag.inplace_view in func.tags:
        return "rearranging"
    # What goes element by element has a gradient and an in-place form that do so too.
    plain = None if "::" in name else getattr(torch.ops.aten, _base(name), None)
    forms = [func, *(getattr(plain, form) for form in (plain.overloads() if plain else []))]
    if any(torch.Tag.pointwise in form.tags for form in forms):
        return "element-wise"
    return "bookkeeping" if name.startswith("profiler::") else FREE.get(_base(name))


def _convolution_kind(x: Tensor, weight: Tensor, transposed: bool, groups: int) -> str:
    if transposed:
        return "transposed"
    if groups > 1:
        return "depthwise" if groups == x.shape[1] else "grouped"
    return "pointwise" if prod(weight.shape[2:]) == 1 else "standard"


def _pairs(tensor: Tensor, weight: Tensor) -> int:
    """MACs of a convolution: every weight once at each position of the side that the kernel slides over."""
    return tensor.shape[0] * prod(tensor.shape[2:]) * weight.numel()


def _storage(tensor: Tensor) -> int | None:
    try:
        return int(tensor.untyped_storage()._cdata)
    except (NotImplementedError, RuntimeError):
        return None  # sparse and other tensors without one


# --- the run ---------------------------------------------------------------------------------


def _inputs(
    model: nn.Module, input_size: Sequence[int] | Tensor | tuple[Tensor, ...], batch: int
) -> tuple[Tensor, ...]:
    given = (input_size,) if isinstance(input_size, Tensor) else tuple(input_size)
    tensors = tuple(t for t in given if isinstance(t, Tensor))
    if not tensors:
        like = next(model.parameters(), torch.empty(0))  # the model's own device and dtype
        shape: Any = (batch, *given)
        return (torch.zeros(shape, device=like.device, dtype=like.dtype),)
    if len(tensors) < len(given) or batch != 1:
        raise SpecError(
            f"input_size={tuple(type(t).__name__ for t in given)} with batch={batch}: expected the sizes of one "
            f"input, or nothing but tensors, which have their own batch, and no other batch"
        )
    return tensors


def _differentiate(model: nn.Module, inputs: tuple[Tensor, ...], outputs: object) -> None:
    """Let autograd go back from every output, without touching any `.grad`."""
    ends = [t for t in tree_leaves(outputs) if isinstance(t, Tensor) and t.requires_grad]
    wanted = [t for t in (*model.parameters(), *inputs) if t.requires_grad]
    if ends and wanted:
        torch.autograd.grad(ends, wanted, [torch.ones_like(t) for t in ends], allow_unused=True)


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    """Run as for inference, with attention as plain products, uncompiled; put modes and buffers back at the end."""
    # Module by module: a part of the model may be frozen in the other mode.
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        model.eval()
        # A compiled model has loaded the compiler; its kernels would hide the operations.
        compiled = "torch._dynamo" in sys.modules
        eager = torch.compiler.set_stance("force_eager") if compiled else nullcontext()
        with sdpa_kernel(SDPBackend.MATH), eager:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module, mode in modes:
            module.training = mode
        for module, name, buffer, before in buffers:
            module._buffers[name] = buffer
            with torch.no_grad():
                buffer.copy_(before)
