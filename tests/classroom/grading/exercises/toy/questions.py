"""Two questions and a written answer: enough to be fooled about."""

from dsconv_lib.classroom.question import Mistake, question

WRITTEN = {"why": 2}


def scale_reference(x, weight):
    return x * weight[:, None, None]


@question(
    "scale",
    function="scale",
    points=3,
    reference=scale_reference,
    hints=["One weight for each channel."],
    mistakes=[Mistake("it was summed over channels", lambda x, weight: (x.T @ weight).T)],
)
def scale(rng):
    for size in (1, 4, 6):
        channels = int(rng.integers(2, 5))
        yield {"x": rng.normal(size=(channels, size, size)), "weight": rng.normal(size=channels)}


@question(
    "size",
    function="out_size",
    points=1,
    reference=lambda in_size, kernel_size, stride: (in_size - kernel_size) // stride + 1,
)
def size(rng):
    for stride in (1, 2):
        in_size, kernel_size = int(rng.integers(50, 90)), int(rng.integers(2, 40))
        yield {"in_size": in_size, "kernel_size": kernel_size, "stride": stride}
