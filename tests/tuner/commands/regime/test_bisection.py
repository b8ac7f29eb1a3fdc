"""The boundary of a regime and the next batch size to try, against brute force over every response."""

import math
from itertools import product

import pytest

from zerotune.tuner.commands.regime.bisection import Bracket, Definition, find_bracket, ladder, next_rung, select_rungs

DEFINITIONS: tuple[Definition, ...] = ("first failure", "last success")


def searched(
    response: tuple[bool, ...], definition: Definition, *, check: bool = True
) -> tuple[Bracket, dict[int, bool]]:
    """Return the bracket and the verdicts of a whole search over batch sizes 2, 4, 8 ... with these responses."""
    rungs = tuple(2 ** (place + 1) for place in range(len(response)))
    truth = dict(zip(rungs, response, strict=True))
    verdicts: dict[int, bool] = {}
    while (rung := next_rung(rungs, verdicts, definition, check=check)) is not None:
        assert rung not in verdicts
        verdicts[rung] = truth[rung]
    return find_bracket(rungs, verdicts, definition), verdicts


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("num_rungs", range(1, 18))
def test_every_monotone_boundary_is_found_in_few_trials(num_rungs: int, check: bool, definition: Definition) -> None:
    for num_holding in range(num_rungs + 1):
        response = (True,) * num_holding + (False,) * (num_rungs - num_holding)
        found, verdicts = searched(response, definition, check=check)
        assert found == Bracket(
            holds=2**num_holding if num_holding else None,
            fails=2 ** (num_holding + 1) if num_holding < num_rungs else None,
            closed=True,
        )
        assert len(verdicts) <= math.ceil(math.log2(num_rungs + 1)) + check <= math.ceil(math.log2(num_rungs)) + 2


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_a_check_tries_the_batch_size_after_the_first_that_fails(definition: Definition) -> None:
    for num_holding in range(7):
        response = (True,) * num_holding + (False,) * (8 - num_holding)
        assert 2 ** (num_holding + 2) in searched(response, definition)[1]


@pytest.mark.parametrize("num_rungs", range(1, 9))
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_every_response_ends_at_a_change_and_what_contradicts_it_is_reported(
    num_rungs: int, definition: Definition
) -> None:
    for response in product((True, False), repeat=num_rungs):
        found, verdicts = searched(response, definition)
        low = 0 if found.holds is None else found.holds.bit_length() - 1
        high = num_rungs + 1 if found.fails is None else found.fails.bit_length() - 1
        assert high == low + 1
        assert low == 0 or response[low - 1]
        assert high > num_rungs or not response[high - 1]
        failing = [rung for rung, holds in verdicts.items() if not holds]
        holding = [rung for rung, holds in verdicts.items() if holds]
        pairs = [(f, h) for f in failing for h in holding if f < h]
        assert found.contradictions == (
            tuple(sorted({f for f, _ in pairs})),
            tuple(sorted({h for _, h in pairs})),
        )
        if definition == "first failure":
            assert all(found.fails is not None and rung >= found.fails for rung in failing)
        else:
            assert all(found.holds is not None and rung <= found.holds for rung in holding)


def test_a_method_that_holds_again_above_is_the_boundary_of_the_last_success_and_is_reported() -> None:
    response = (True, True, False, True, False, False)
    large, _ = searched(response, "first failure")
    huge, _ = searched(response, "last success")
    assert large == Bracket(holds=4, fails=8, closed=True, contradictions=((8,), (16,)))
    assert huge == Bracket(holds=16, fails=32, closed=True, contradictions=((8,), (16,)))


def test_a_search_that_was_cut_off_leaves_an_open_bracket() -> None:
    rungs = (64, 128, 256, 512)
    assert find_bracket(rungs, {64: True, 512: False}, "first failure") == Bracket(holds=64, fails=512, closed=False)
    assert find_bracket(rungs, {}, "last success") == Bracket(holds=None, fails=None, closed=False)


def test_the_ladder_doubles_the_baselines_batch_size_up_to_the_full_batch() -> None:
    assert ladder(256, 60_000) == (512, 1024, 2048, 4096, 8192, 16_384, 32_768, 60_000)
    assert ladder(20, 650) == (40, 80, 160, 320, 640, 650)
    assert ladder(1, 8) == (2, 4, 8)
    assert ladder(5, 9) == (9,)
    assert ladder(9, 9) == ()


def test_a_range_is_a_part_of_the_ladder() -> None:
    rungs = ladder(32, 3000)
    assert select_rungs(rungs, None, None) == rungs
    assert select_rungs(rungs, 128, 512) == (128, 256, 512)
    assert select_rungs(rungs, 3000, None) == (3000,)
