"""The error that every part of training raises."""

from dsconv_lib.errors import UserError


class TrainingError(UserError, RuntimeError):
    """A run that cannot start or go on; the message says why and what to do."""
