"""`python -m dsconv_lib` is the command `dsconv`."""

from dsconv_lib.cli import app

app(prog_name="dsconv")
