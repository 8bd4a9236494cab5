"""Numbers in the text of the exercises that no cell prints."""

from dsconv_lib.networks import mobilenet_v1_layers
from tests.classroom.exercise_files import ROOT


def test_how_many_numbers_of_the_last_map_see_the_whole_image():
    specs = [layer.spec for layer in mobilenet_v1_layers() if layer.kind != "linear"]
    assert specs[0].in_size == (224, 224)

    def sees_all(position):
        first = last = position
        for spec in reversed(specs):
            first = first * spec.stride[0] - spec.pads[0][0]
            last = last * spec.stride[0] - spec.pads[0][0] + spec.kernel_size[0] - 1
        return first <= 0 and last >= 223

    side = specs[-1].out_size[0]
    middle = sum(map(sees_all, range(side)))
    text = (ROOT / "exercises" / "07-mobilenet-v1" / "source.md").read_text(encoding="utf-8")
    assert f"{middle**2} of the map's {side**2} numbers see the whole image" in text
