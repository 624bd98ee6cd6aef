"""Labels of points: they never overlap each other, and they overlap a point only if there is no free place."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reporting.charts.labels import Spot, fitted, label_width, place_labels

WIDTH_PX, HEIGHT_PX = 330.0, 260.0


def spot(x: float, y: float, label: str) -> Spot:
    return Spot(x=x, y=y, top=y - 15, bottom=y + 15, label=label)


def test_a_single_label_is_to_the_right_of_its_point() -> None:
    (box,) = place_labels([spot(100, 100, "q8_0")], WIDTH_PX, HEIGHT_PX)
    assert box.y == 100
    assert box.x - box.width / 2 > 100


def test_a_label_at_the_right_edge_is_to_the_left_of_its_point() -> None:
    (box,) = place_labels([spot(325, 100, "q8_0")], WIDTH_PX, HEIGHT_PX)
    assert box.x + box.width / 2 < 325


def test_a_long_label_loses_its_middle_and_keeps_its_ends() -> None:
    assert fitted("q8_0", 100) == "q8_0"
    short = fitted("q4_k_m-" + "x" * 90 + " +0.07 ↓", 120)
    assert label_width(short) <= 120
    assert short.startswith("q4_k_")
    assert short.endswith(" +0.07 ↓")
    assert label_width(fitted("名" * 40, 100)) <= 100


def test_wide_letters_count_twice() -> None:
    assert label_width("基準") == 2 * label_width("ab")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, WIDTH_PX), st.floats(20, HEIGHT_PX - 20), st.sampled_from(["f16", "q4_k_m", "iq4_xs+en-ja4"])
        ),
        max_size=8,
    )
)
def test_labels_never_overlap_each_other(points: list[tuple[float, float, str]]) -> None:
    boxes = place_labels([spot(*point) for point in points], WIDTH_PX, HEIGHT_PX)
    assert len(boxes) == len(points)
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:place])
        assert box.x - box.width / 2 >= 0
        assert box.x + box.width / 2 <= WIDTH_PX
