"""Some at a time, and one ahead."""

import threading

import pytest

from cmgems.iteration import batched, one_ahead


def test_batched():
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_one_ahead_gives_the_same_items(count):
    assert list(one_ahead(range(count))) == list(range(count))
    assert list(one_ahead([None] * count)) == [None] * count


def test_one_item_is_made_ahead_in_a_thread():
    made, second = [], threading.Event()

    def items():
        for number in range(5):
            made.append((number, threading.current_thread().name))
            if number == 1:
                second.set()
            yield number

    coming = one_ahead(items())
    assert made == []
    assert next(coming) == 0
    assert second.wait(10)
    assert [number for number, _ in made] == [0, 1]
    assert threading.current_thread().name not in {name for _, name in made}
    coming.close()


def test_an_error_comes_where_its_item_would():
    def items():
        yield 0
        raise ValueError("broken")

    coming = one_ahead(items())
    assert next(coming) == 0
    with pytest.raises(ValueError, match="broken"):
        next(coming)
