"""Training: what is asked, the right answers, and the wrong ones that have a name."""

import math

import numpy as np

from dsconv_lib.classroom import mistakes
from dsconv_lib.classroom.question import Mistake, question

WRITTEN = {"slope-of-the-loss": 3, "standard-error": 3}


# ---- The learning rate ---------------------------------------------------------------------------


def rates(steps, rising, highest, *, first=1, span=None, half=True):
    """The schedule; the options are what some wrong answers change."""
    made = np.empty(steps)
    for step in range(steps):
        if step < rising:
            made[step] = highest * (step + first) / rising
        else:
            turned = math.cos(math.pi * (step - rising) / (span or (steps - rising)))
            made[step] = highest * ((1 + turned) / 2 if half else turned)
    return made


@question(
    "schedule",
    function="learning_rates",
    points=2,
    reference=rates,
    shape="one learning rate for each step",
    hints=[
        "The rising part has `rising` steps: at step $t$, counted from 0, the rate is `highest * (t + 1) / rising`.",
        "In the falling part count the steps from its own start, $t - r$, out of $T - r$. `rising` may be 0.",
    ],
    mistakes=[
        Mistake(
            "The first rate is 0 in your schedule, so the first step is lost: the line goes up to 1 within its steps.",
            lambda **k: rates(first=0, **k),
        ),
        Mistake(
            "The cosine falls over all steps: it has the steps that the line has left.",
            lambda steps, rising, highest: rates(steps, rising, highest, span=steps),
        ),
        Mistake(
            "The cosine runs from 1 to -1 in your schedule: add 1 and halve it.",
            lambda **k: rates(half=False, **k),
        ),
        Mistake(
            "The last rate is exactly 0: a step of length 0 is lost. Divide by the number of steps, not by that number less 1.",
            lambda steps, rising, highest: rates(steps, rising, highest, span=steps - rising - 1),
        ),
        Mistake(
            "The line is missing: the first steps are short.",
            lambda steps, rising, highest: rates(steps, 0, highest),
        ),
        Mistake(
            "Those are the factors: multiply them by the highest learning rate.",
            lambda steps, rising, highest: rates(steps, rising, 1.0),
        ),
        Mistake(
            "The fall is a straight line: it is half of a cosine.",
            lambda steps, rising, highest: np.array(
                [
                    highest
                    * ((t + 1) / rising if t < rising else 1 - (t - rising) / (steps - rising))
                    for t in range(steps)
                ]
            ),
        ),
    ],
)
def schedules(rng):
    for steps, rising in [(10, 3), (7, 0), (25, 5), (40, 12)]:
        yield {"steps": steps, "rising": rising, "highest": float(rng.uniform(0.05, 2))}


# ---- The loss ------------------------------------------------------------------------------------


def targets(labels, classes, epsilon, *, extra=0):
    q = np.full((len(labels), classes), epsilon / (classes - extra))
    q[np.arange(len(labels)), labels] = 1 - epsilon + (0 if extra else epsilon / classes)
    return q


def log_softmax(scores):
    moved = scores - scores.max(axis=1, keepdims=True)
    return moved - np.log(np.exp(moved).sum(axis=1, keepdims=True))


def loss(scores, labels, epsilon, *, extra=0):
    q = targets(labels, scores.shape[1], epsilon, extra=extra)
    return float(-(q * log_softmax(scores)).sum() / len(scores))


def naive(scores, labels, epsilon):
    """By the formula as it stands: the exponential of a large score is infinite."""
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    q = targets(labels, scores.shape[1], epsilon)
    return float(-(q * np.log(p)).sum() / len(scores))


def in_the_target(function, without):
    """Two mistakes of both questions; `without` is what to say where the smoothing is left out."""
    shared = "The wrong classes share epsilon among themselves in your count: all classes get epsilon / C, the label too."
    return mistakes.as_if(function, {without: {"epsilon": 0.0}, shared: {"extra": 1}})


def some_scores(rng, images, classes, spread):
    return {
        "scores": rng.normal(size=(images, classes)) * spread,
        "labels": rng.integers(0, classes, size=images),
    }


def score_cases(rng):
    yield some_scores(rng, 3, 4, 1.0) | {"epsilon": 0.0}
    yield some_scores(rng, 5, 10, 2.0) | {"epsilon": 0.1}
    yield some_scores(rng, 2, 3, 3.0) | {"epsilon": 0.3}
    large = some_scores(rng, 4, 5, 1.0)
    large["scores"][1:] += np.array([[1000.0], [800.0], [-900.0]])
    yield large | {"epsilon": 0.1}


@question(
    "loss",
    function="smoothed_loss",
    points=3,
    reference=loss,
    hints=[
        "The target of an image is $\\varepsilon / C$ for each of the $C$ classes, and $1 - \\varepsilon$ more for the label.",
        "$\\ln p_c = z_c - \\ln \\sum_k e^{z_k}$: the logarithm of a tiny $p$ is never taken.",
        "$e^{1000}$ is infinite. Softmax does not change if you subtract the largest score of each image first.",
    ],
    mistakes=[
        Mistake(
            "Large scores overflow: subtract the largest score of each image before the exponential.",
            naive,
        ),
        *in_the_target(loss, "The smoothing is left out."),
        Mistake(
            "The losses of the images are added up: the loss of a batch is their mean.",
            lambda scores, labels, epsilon: len(scores) * loss(scores, labels, epsilon),
        ),
        Mistake(
            "The mean is taken over the classes too: the classes are summed, and the mean runs over the images.",
            lambda scores, labels, epsilon: loss(scores, labels, epsilon) / scores.shape[1],
        ),
        Mistake("The sign is turned: -ln p is positive.", lambda **k: -loss(**k)),
        Mistake(
            "The logarithm has the base 2: it is the natural one.",
            lambda **k: loss(**k) / math.log(2),
        ),
    ],
)
def losses(rng):
    yield from score_cases(rng)


# ---- Its slope -----------------------------------------------------------------------------------


def slope(scores, labels, epsilon, *, extra=0):
    q = targets(labels, scores.shape[1], epsilon, extra=extra)
    return (np.exp(log_softmax(scores)) - q) / len(scores)


@question(
    "slope",
    function="loss_gradient",
    points=3,
    reference=slope,
    shape="a gradient has the shape of what it belongs to, (B, C)",
    hints=[
        "The slope of $\\ln \\sum_k e^{z_k}$ for $z_c$ is $e^{z_c} / \\sum_k e^{z_k} = p_c$.",
        "For one image the gradient is $p - q$. The loss is a mean over $B$ images.",
    ],
    mistakes=[
        Mistake(
            "The factor 1/B is missing: the loss is a mean over the images.",
            lambda scores, labels, epsilon: len(scores) * slope(scores, labels, epsilon),
        ),
        Mistake("The sign is turned: it is p - q.", lambda **k: -slope(**k)),
        *in_the_target(slope, "The smoothing is left out of the target."),
        Mistake(
            "Those are the probabilities: subtract the target.",
            lambda scores, labels, epsilon: np.exp(log_softmax(scores)) / len(scores),
        ),
        Mistake(
            "Large scores overflow: subtract the largest score of each image before the exponential.",
            lambda scores, labels, epsilon: (
                (
                    np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
                    - targets(labels, scores.shape[1], epsilon)
                )
                / len(scores)
            ),
        ),
        Mistake(
            "The softmax runs over the images: it runs over the classes of each image.",
            lambda scores, labels, epsilon: (
                (np.exp(log_softmax(scores.T)).T - targets(labels, scores.shape[1], epsilon))
                / len(scores)
            ),
        ),
    ],
)
def slopes(rng):
    yield from score_cases(rng)


# ---- Find the mistakes ---------------------------------------------------------------------------


def statistics(batches, momentum, *, swapped=False, ddof=1, start=1.0):
    mean, variance = np.zeros(batches.shape[2]), np.full(batches.shape[2], start)
    new = 1 - momentum if swapped else momentum
    for batch in batches:
        mean = (1 - new) * mean + new * batch.mean(axis=0)
        variance = (1 - new) * variance + new * batch.var(axis=0, ddof=ddof)
    return mean, variance


@question(
    "running",
    function="running_statistics",
    points=3,
    reference=statistics,
    shape="one mean and one variance for each channel",
    hints=[
        "With a momentum of 0.1 the stored mean moves a tenth of the way to the batch's mean. Which of the two gets the 0.1?",
        "The second mistake is in the variance. Try a batch of two images: which variance does PyTorch store, the one divided by 2 or the one divided by 1?",
    ],
    mistakes=[
        *mistakes.as_if(
            statistics,
            {
                "The momentum is still on the wrong side: PyTorch's momentum is the weight of the new batch.": {
                    "swapped": True
                },
                "The stored variance is still divided by the count: PyTorch stores the one divided by the count less 1.": {
                    "ddof": 0
                },
            },
        ),
        mistakes.unrepaired(lambda **k: statistics(swapped=True, ddof=0, **k)),
        Mistake(
            "The variance starts at 0: a new layer has the stored mean 0 and the stored variance 1.",
            lambda **k: statistics(start=0.0, **k),
        ),
        Mistake(
            "That is the last batch alone: the stored numbers remember the batches before it.",
            lambda batches, momentum: (batches[-1].mean(axis=0), batches[-1].var(axis=0, ddof=1)),
        ),
        Mistake(
            "All batches count alike in your mean: later ones count more.",
            lambda batches, momentum: (
                batches.mean(axis=(0, 1)),
                batches.var(axis=1, ddof=1).mean(axis=0),
            ),
        ),
        Mistake(
            "Standard deviations are stored: they are variances.",
            lambda **k: (statistics(**k)[0], np.sqrt(statistics(**k)[1])),
        ),
    ],
)
def runnings(rng):
    sizes = [(1, 2, 3, 0.1), (4, 5, 2, 0.1), (3, 4, 1, 0.3), (6, 8, 4, 0.01)]
    for steps, images, channels, momentum in sizes:
        yield {
            "batches": rng.normal(size=(steps, images, channels)) * 3 + 5,
            "momentum": momentum,
        }


# ---- What a difference is worth ------------------------------------------------------------------


def error_of_difference(right_one, right_two, images):
    p, q = right_one / images, right_two / images
    return math.sqrt(p * (1 - p) / images + q * (1 - q) / images)


def pooled(right_one, right_two, images):
    return (right_one + right_two) / (2 * images)


@question(
    "difference",
    function="error_of_difference",
    points=2,
    reference=error_of_difference,
    hints=[
        "The accuracy of one network is a mean of $n$ numbers that are 0 or 1. Its variance is $p (1 - p) / n$.",
        "For independent test sets the variances of the two accuracies add up. The standard error is the root of the sum.",
    ],
    mistakes=[
        Mistake(
            "The standard errors are added: their squares, the variances, add up.",
            lambda right_one, right_two, images: sum(
                math.sqrt(r / images * (1 - r / images) / images) for r in (right_one, right_two)
            ),
        ),
        Mistake(
            "The variances are subtracted: a difference of two uncertain numbers is more uncertain than each.",
            lambda right_one, right_two, images: math.sqrt(
                abs(
                    right_one / images * (1 - right_one / images)
                    - right_two / images * (1 - right_two / images)
                )
                / images
            ),
        ),
        Mistake("That is the variance: take the root.", lambda **k: error_of_difference(**k) ** 2),
        Mistake(
            "That is the standard error of the first accuracy alone.",
            lambda right_one, right_two, images: math.sqrt(
                right_one / images * (1 - right_one / images) / images
            ),
        ),
        Mistake(
            "The number of images is missing: with more images the error shrinks.",
            lambda right_one, right_two, images: (
                error_of_difference(right_one, right_two, images) * math.sqrt(images)
            ),
        ),
        Mistake(
            "One accuracy is used for both networks: each has a variance of its own.",
            lambda right_one, right_two, images: math.sqrt(
                2
                * pooled(right_one, right_two, images)
                * (1 - pooled(right_one, right_two, images))
                / images
            ),
        ),
        Mistake(
            "That is in percentage points: the accuracies are numbers from 0 to 1 here.",
            lambda **k: 100 * error_of_difference(**k),
        ),
    ],
)
def differences(rng):
    for images in (360, 1000, 60, 10_000):
        one = int(images * rng.uniform(0.55, 0.75))
        two = int(images * rng.uniform(0.85, 0.95))
        yield {"right_one": one, "right_two": two, "images": images}


# ---- The same test set for both ------------------------------------------------------------------


def sign_test(only_one, only_two):
    n, few = only_one + only_two, min(only_one, only_two)
    tail = sum(math.comb(n, k) for k in range(few + 1)) / 2**n
    return min(1.0, 2 * tail)


def tail_of(n, up_to):
    return sum(math.comb(n, k) for k in range(up_to + 1)) / 2**n


@question(
    "sign-test",
    function="sign_test",
    points=3,
    reference=sign_test,
    hints=[
        "Let $n$ be the number of images on which the two disagree. If both networks are equally good, each of these images is a fair coin.",
        "A coin thrown $n$ times shows heads exactly $k$ times with probability $\\binom{n}{k} / 2^n$: `math.comb(n, k) / 2**n`.",
        "Add up the probabilities from 0 to the smaller of the two counts, and double the sum, for the other direction. A probability is at most 1.",
    ],
    mistakes=[
        Mistake(
            "That is one direction: the other network could have won by as much, so double it.",
            lambda only_one, only_two: (
                min(1.0, sign_test(only_one, only_two) / 2)
                if only_one != only_two
                else tail_of(only_one + only_two, only_one)
            ),
        ),
        Mistake(
            "A probability is at most 1: where both counts are equal, the doubled sum is larger.",
            lambda only_one, only_two: 2 * tail_of(only_one + only_two, min(only_one, only_two)),
        ),
        Mistake(
            "Results that are more uneven than this one count too, not this one alone.",
            lambda only_one, only_two: min(
                1.0, 2 * math.comb(only_one + only_two, only_one) / 2 ** (only_one + only_two)
            ),
        ),
        Mistake(
            "This result itself is left out of the sum: it counts too.",
            lambda only_one, only_two: min(
                1.0, 2 * tail_of(only_one + only_two, min(only_one, only_two) - 1)
            ),
        ),
        Mistake(
            "The first count is taken for the smaller one: the test does not know which network is the first.",
            lambda only_one, only_two: min(1.0, 2 * tail_of(only_one + only_two, only_one)),
        ),
        Mistake(
            "That is the share of the smaller count, and no probability of a result as uneven as this.",
            lambda only_one, only_two: min(only_one, only_two) / (only_one + only_two),
        ),
    ],
)
def sign_tests(rng):
    few, many, equal, only = (int(n) for n in rng.integers([2, 8, 3, 4], [7, 20, 40, 20]))
    yield {"only_one": few, "only_two": many}
    yield {"only_one": equal, "only_two": equal}
    yield {"only_one": 0, "only_two": only}
    yield {"only_one": int(rng.integers(12, 20)), "only_two": int(rng.integers(4, 9))}
    yield {"only_one": int(rng.integers(20, 40)), "only_two": int(rng.integers(41, 60))}
