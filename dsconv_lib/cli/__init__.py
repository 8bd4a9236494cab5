"""The command line, a file for each command."""

import typer

from dsconv_lib.cli.bench import bench_command
from dsconv_lib.cli.cost import cost_command
from dsconv_lib.cli.grade import grade_command, review_command
from dsconv_lib.cli.measure import measure_app
from dsconv_lib.cli.release import release_command
from dsconv_lib.cli.train import train_command

app = typer.Typer(
    help="Depthwise-separable convolution: train it, count it, time it; make exercises, grade them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train_command)
app.command("cost")(cost_command)
app.command("bench")(bench_command)
app.add_typer(measure_app, name="measure")
app.command("release")(release_command)
app.command("grade")(grade_command)
app.command("review")(review_command)
