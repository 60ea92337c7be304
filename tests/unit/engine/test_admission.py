"""Rule 1: admit before decoding, refuse at once, and say when to come back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ocrdet.engine.admission import MAX_RETRY_AFTER_S, RATE_WINDOW, Gate
from ocrdet.engine.ticket import Ticket
from ocrdet.errors import DeadlineExceeded, Draining, QueueFull
from tests.unit.engine.sessions import PATIENCE_S, Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every gate."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def make_gate(*, images: int = 2, size_bytes: int = 100, pixels: int = 1000) -> Gate:
    """A gate with small budgets."""
    return Gate(max_images=images, max_bytes=size_bytes, max_pixels=pixels)


def test_a_full_house_refuses_at_once_and_names_the_budget() -> None:
    """The third image of two is refused; the facts say which limit it met."""
    gate = make_gate()
    gate.admit(size_bytes=1)
    gate.admit(size_bytes=1)
    with pytest.raises(QueueFull, match="All 2 images") as caught:
        gate.admit(size_bytes=1)
    assert caught.value.facts["budget"] == "images"
    assert caught.value.facts["limit"] == 2
    assert gate.inflight_images == 2


def test_bytes_of_all_images_are_bounded_together_but_a_lone_one_always_passes() -> None:
    """An image larger than the budget can still be served, one at a time."""
    gate = make_gate()
    with gate.admit(size_bytes=500), pytest.raises(QueueFull, match="bytes"):
        gate.admit(size_bytes=1)
    gate.admit(size_bytes=60)
    with pytest.raises(QueueFull, match="All 100 bytes"):
        gate.admit(size_bytes=41)
    gate.admit(size_bytes=40)


def test_a_slot_holds_the_true_size_once_it_is_known() -> None:
    """What was admitted for more bytes than came makes room for others."""
    gate = make_gate()
    slot = gate.admit(size_bytes=100)
    slot.resize(30)
    gate.admit(size_bytes=70)
    slot.release()
    slot.resize(1000)
    gate.admit(size_bytes=30)


def test_decoded_pixels_are_bounded_together_but_a_lone_image_always_passes() -> None:
    """Pixels are held from before decoding until the slot is released, and counted once."""
    gate = make_gate(images=3)
    large, small, refused = (gate.admit(size_bytes=1) for _ in range(3))
    large.reserve(5000)
    large.reserve(0, passes=1)
    with pytest.raises(QueueFull, match="All 1000 decoded pixels"):
        refused.reserve(1)
    large.release()
    small.reserve(600)
    with pytest.raises(QueueFull):
        refused.reserve(401)
    refused.reserve(400)


def test_a_slot_is_freed_by_its_release_alone_and_only_once() -> None:
    """Releasing twice must not make room for two."""
    gate = make_gate()
    first = gate.admit(size_bytes=10)
    gate.admit(size_bytes=10)
    first.release()
    first.release()
    assert gate.inflight_images == 1
    gate.admit(size_bytes=10)
    with pytest.raises(QueueFull):
        gate.admit(size_bytes=10)


def test_each_pass_beyond_the_first_counts_like_one_more_image() -> None:
    """A picture of five tiles fills a house of four; others are refused until it has left."""
    gate = make_gate(images=4)
    large, other = gate.admit(size_bytes=1), gate.admit(size_bytes=1)
    large.reserve(10, passes=5)
    assert gate.saturation_ratio == 1.0
    assert gate.inflight_images == 2
    with pytest.raises(QueueFull, match="All 4 images"):
        gate.admit(size_bytes=1)
    with pytest.raises(QueueFull, match="images and tiles"):
        other.reserve(10, passes=2)
    other.reserve(10)
    large.release()
    other.reserve(0, passes=2)
    gate.admit(size_bytes=1)
    other.release()
    assert gate.saturation_ratio == 0.25


def test_two_tiled_images_that_wait_for_each_other_both_get_through() -> None:
    """Only passes that run are waited for: of two larger than the house, one goes first."""
    gate = make_gate(images=2)
    with ThreadPoolExecutor(2) as pool:

        def work() -> None:
            with gate.admit_waiting(size_bytes=1, ticket=Ticket(PATIENCE_S)) as slot:
                slot.reserve(1, passes=9)

        for done in [pool.submit(work) for _ in range(8)]:
            done.result(PATIENCE_S)
    assert gate.inflight_images == 0


def test_a_renewed_slot_keeps_its_place_and_gives_its_pixels_back() -> None:
    """A batch holds one slot for all its images, and the pixels of one at a time."""
    gate = make_gate()
    slot = gate.admit(size_bytes=10)
    slot.reserve(1000)
    slot.renew()
    assert gate.inflight_images == 1
    gate.admit(size_bytes=10).reserve(1000)
    slot.release()
    slot.renew()
    assert gate.inflight_images == 1


def test_retry_after_is_computed_from_the_measured_rate(clock: Clock) -> None:
    """Two images in 4 s: half of the four in work will have left in 4 s."""
    gate = make_gate(images=4)
    slots = [gate.admit(size_bytes=1) for _ in range(4)]
    clock.now += 4
    for slot in slots[:2]:
        slot.release()
        gate.admit(size_bytes=1)
    with pytest.raises(QueueFull) as caught:
        gate.admit(size_bytes=1)
    assert caught.value.retry_after_s == 4


def test_retry_after_follows_the_last_completions_not_the_whole_day(clock: Clock) -> None:
    """A slow morning is forgotten after as many completions as the window holds."""
    gate = make_gate(images=2)
    gate.admit(size_bytes=1)
    clock.now += 3600
    for _ in range(RATE_WINDOW):
        clock.now += 5
        gate.admit(size_bytes=1).release()
    gate.admit(size_bytes=1)
    with pytest.raises(QueueFull) as caught:
        gate.admit(size_bytes=1)
    assert caught.value.retry_after_s == 5


def test_retry_after_before_the_first_completion_grows_with_the_time_it_takes(clock: Clock) -> None:
    """Nothing has left for 7 s: that is all there is to go by."""
    gate = make_gate(images=2)
    for _ in range(2):
        gate.admit(size_bytes=1)
    clock.now += 7
    with pytest.raises(QueueFull) as caught:
        gate.admit(size_bytes=1)
    assert caught.value.retry_after_s == 7


def test_retry_after_stays_between_a_second_and_a_minute(clock: Clock) -> None:
    """Neither a fast nor a stuck server sends clients away for a silly time."""
    gate = make_gate(images=1)
    slot = gate.admit(size_bytes=1)
    with pytest.raises(QueueFull) as caught:
        gate.admit(size_bytes=1)
    assert caught.value.retry_after_s == 1
    clock.now += 1e6
    with pytest.raises(QueueFull) as caught:
        gate.admit(size_bytes=1)
    assert caught.value.retry_after_s == MAX_RETRY_AFTER_S
    slot.release()


def test_an_idle_hour_does_not_count_as_slow_work(clock: Clock) -> None:
    """The rate is measured while there is work."""
    gate = make_gate(images=1)
    gate.admit(size_bytes=1).release()
    clock.now += 3600
    gate.admit(size_bytes=1)
    clock.now += 2
    with pytest.raises(QueueFull) as caught:
        gate.admit(size_bytes=1)
    assert caught.value.retry_after_s == 1


def test_a_draining_gate_takes_nothing_new_and_lets_the_rest_end() -> None:
    """What was admitted before goes on until it is released."""
    gate = make_gate()
    slot = gate.admit(size_bytes=1)
    gate.drain()
    assert gate.draining
    with pytest.raises(Draining):
        gate.admit(size_bytes=1)
    with pytest.raises(Draining):
        gate.admit_waiting(size_bytes=1, ticket=Ticket())
    assert not gate.wait_idle(0)
    slot.release()
    assert gate.wait_idle(0)


def test_callers_that_wait_are_never_more_than_the_budget_and_all_get_through() -> None:
    """Threads are their own back-pressure: each gets its slot in the end, two at a time."""
    gate = make_gate(size_bytes=10)
    most = []

    def work(size_bytes: int) -> None:
        with gate.admit_waiting(size_bytes=size_bytes, ticket=Ticket()):
            most.append((gate.inflight_images, gate._bytes))

    with ThreadPoolExecutor(8) as pool:
        for answer in [pool.submit(work, size) for size in (4, 9, 1, 5, 10, 3) * 20]:
            answer.result(PATIENCE_S)
    assert len(most) == 120
    assert max(images for images, _ in most) <= 2
    assert max(size for _, size in most) <= 10
    assert gate.inflight_images == 0


def test_callers_that_wait_are_told_when_the_house_closes() -> None:
    """A library call must not hang in a detector that was closed."""
    gate = make_gate(images=1)
    gate.admit(size_bytes=1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(gate.admit_waiting, size_bytes=1, ticket=Ticket())
        gate.drain()
        with pytest.raises(Draining):
            waiting.result(PATIENCE_S)


def test_a_caller_who_waits_also_waits_for_room_for_its_pixels() -> None:
    """A request is refused at once; a library call comes in when the others have left."""
    gate = make_gate(pixels=100)
    with ThreadPoolExecutor(1) as pool, gate.admit(size_bytes=1) as first:
        first.reserve(80)
        second = gate.admit_waiting(size_bytes=1, ticket=Ticket())
        reserved = pool.submit(second.reserve, 80)
        first.release()
        reserved.result(PATIENCE_S)
        second.release()
    assert gate.saturation_ratio == 0.0


def test_waiting_ends_with_the_callers_deadline() -> None:
    """Neither a slot nor room for pixels is waited for longer than the answer is."""
    gate = make_gate(images=2, pixels=100)
    first = gate.admit(size_bytes=1)
    first.reserve(100)
    patient = gate.admit_waiting(size_bytes=1, ticket=Ticket(0.01))
    with pytest.raises(DeadlineExceeded):
        patient.reserve(1)
    with pytest.raises(DeadlineExceeded):
        gate.admit_waiting(size_bytes=1, ticket=Ticket(0.01))


def test_everybody_who_waits_hears_of_the_next_release_and_renewal() -> None:
    """One alone might have given up meanwhile, and the room would stay empty."""
    gate = make_gate()
    assert gate.wait_until_free().done()
    first, second = gate.admit(size_bytes=1), gate.admit(size_bytes=1)
    waiting = [gate.wait_until_free() for _ in range(3)]
    assert waiting[0].cancel()
    assert not any(future.done() for future in waiting[1:])
    first.release()
    assert all(future.done() for future in waiting)
    again = gate.wait_until_free()
    second.renew()
    assert again.done()
    last = gate.wait_until_free()
    gate.drain()
    assert last.done()


def test_saturation_is_that_of_the_fullest_budget() -> None:
    """Nothing is 0, the fullest counts, and a lone giant is 1 and not more."""
    gate = make_gate()
    assert gate.saturation_ratio == 0.0
    slot = gate.admit(size_bytes=10)
    assert gate.saturation_ratio == 0.5
    slot.reserve(800)
    assert gate.saturation_ratio == 0.8
    slot.resize(500)
    assert gate.saturation_ratio == 1.0
