"""What a torch model costs, layer by layer, read off the operations that torch really runs.

Every module and function of torch ends in a few hundred basic operations. A `TorchDispatchMode` sees each of them, with
its tensors, forward and backward, whatever wrote it: `nn.Conv2d`, `F.conv2d`, `torch.einsum` or attention. Three sorts:

- counted: convolutions and matrix products, by the convention of `cost`;
- free by convention: element by element, normalisation, pooling, sums, softmax, rearranging;
- all others. What they multiply is not known: they are named, and their count is missing, never 0.

What a model computes outside torch's operations, in NumPy or in a kernel of its own, is not seen. A convolution written
as element-wise products and a sum is free, as each of its parts is.
"""

from dsconv_lib.profile.table import by_type, profile, uncounted

__all__ = ["by_type", "profile", "uncounted"]
