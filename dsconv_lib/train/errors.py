"""The error that every part of training raises."""


class TrainingError(RuntimeError):
    """A run that cannot start or go on; the message says why and what to do."""
