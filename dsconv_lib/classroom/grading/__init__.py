"""Marks for a class: submissions run in a sandbox, and are compared outside it.

A student's code runs in a process that has inputs but no expected values, no network, no home and no way to start
another process. Its answers come back as plain numbers and are compared here. What it does to its own interpreter
changes its own answers, and nothing else.

What this does not defend against:

- An exercise's reference solution is public, and the student's notebook carries it for its checks. That cell is not run
  here; whoever copies the solution out of it gets the points for it.
- A hole in the kernel or in bubblewrap. The sandbox is as good as they are.
- `--unsafe` runs submissions with your own rights. They can then read the reference and your files.
- A tmpfs counts bytes, not files: a submission that makes empty files in its scratch folder until its time is up takes
  kernel memory that no limit here counts.
- Time is the clock's. On a machine that is too busy an answer near the limit may be lost.
"""

from dsconv_lib.errors import UserError


class GradingError(UserError, ValueError):
    """Something that keeps a class from being graded; the message says what to do."""
