"""The error that every GPU kernel raises."""

from dsconv_lib.errors import UserError


class KernelError(UserError, RuntimeError):
    """A tensor or a machine that the kernels do not serve; the message says what would do."""
