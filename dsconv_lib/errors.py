"""The one kind of error that a user can put right."""


class UserError(Exception):
    """What was given cannot be worked with; the message says what was expected and what to do."""
