"""Blocks that are made ahead of the client: in order, few, and without a thread that waits."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest

from dayfile.errors import StorageError
from dayfile.web.ahead import AHEAD, BlocksAhead


class GaveUp(BaseException):
    """As libraries of other languages raise."""


@pytest.fixture
def pool():
    """Two threads."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


def count_blocks(number, made, *, harm=None, seconds=0.0):
    """Make numbered blocks, and note each."""
    for place in range(number):
        if place == harm:
            raise StorageError("no such day file")
        time.sleep(seconds)
        made.append(place)
        yield b"%d" % place


async def take_all(blocks, pool, pause=0.0, taken=None):
    """Take all blocks, as slowly as asked."""
    taken = [] if taken is None else taken
    async for block in BlocksAhead(blocks, pool).iterate():
        taken.append(int(block))
        await asyncio.sleep(pause)
    return taken


@pytest.mark.parametrize("number", [0, 1, 2, 3, 50])
@pytest.mark.parametrize(("making", "taking"), [(0, 0), (0.001, 0), (0, 0.001)])
def test_all_blocks_come_in_order_whoever_is_slower(pool, number, making, taking):
    found = asyncio.run(take_all(count_blocks(number, [], seconds=making), pool, taking))
    assert found == list(range(number))


def test_many_clients_share_few_threads(pool):
    async def take_many():
        return await asyncio.gather(*(take_all(count_blocks(20, []), pool, 0.0005 * (each % 3)) for each in range(30)))

    assert asyncio.run(take_many()) == [list(range(20))] * 30


def test_a_client_that_takes_nothing_holds_no_thread_and_few_blocks(pool):
    async def ignore():
        made, clients = [], []
        for _ in range(5):
            clients.append(BlocksAhead(count_blocks(1000, made), pool).iterate())
            await anext(clients[-1])
        await asyncio.sleep(0.2)
        assert len(made) == 5 * (1 + AHEAD)
        assert await take_all(count_blocks(10, []), pool) == list(range(10))
        for client in clients:
            await client.aclose()

    asyncio.run(ignore())


def test_what_goes_wrong_is_raised_after_the_blocks_before_it(pool):
    async def take():
        taken = []
        with pytest.raises(StorageError, match="no such day file"):
            await take_all(count_blocks(9, [], harm=5), pool, taken=taken)
        return taken

    assert asyncio.run(take()) == [0, 1, 2, 3, 4]


def test_what_is_no_exception_of_the_program_is_raised_too(pool):
    def make():
        yield b"0"
        raise GaveUp("a library has given up")

    async def take():
        with pytest.raises(GaveUp, match="given up"):
            await asyncio.wait_for(take_all(make(), pool), 20)

    asyncio.run(take())


def test_nothing_more_is_made_for_a_client_that_has_gone(pool):
    made, taken = [], threading.Event()

    def make():
        for block in count_blocks(1000, made, seconds=0.001):
            yield block
            taken.wait(0.05)

    async def go():
        async with aclosing(BlocksAhead(make(), pool).iterate()) as blocks:
            await anext(blocks)
        count = len(made)
        taken.set()
        await asyncio.sleep(0.2)
        assert len(made) <= count + 1

    asyncio.run(go())
