"""Worker processes that serve one socket, and the process that watches over them.

The socket is bound once, and every worker accepts connections from it. A worker that dies is replaced; the others
accept waiting connections meanwhile. Workers stop by a signal, or when the process that started them has died: it holds
the only writing end of a pipe, and they notice that it is closed.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from typing import cast

import uvicorn
from starlette.applications import Starlette

from dayfile.errors import DayfileError, UsageError
from dayfile.interrupts import AGAIN, announce
from dayfile.messages import plural
from dayfile.serving.connections import Connection, Connections, raise_descriptor_limit
from dayfile.serving.service import Service
from dayfile.serving.status_port import StatusServer, format_address
from dayfile.state.records import BEAT_SECONDS
from dayfile.supervision import Supervisor

__all__ = ["serve_until_stopped"]

logger = logging.getLogger(__name__)

BACKLOG = 2048
ACCEPTED_AT_ONCE = 100
"""Connections that are accepted before they are counted; each needs a descriptor."""
KEEP_ALIVE = 30  # seconds
SHORTEST_LIFE = 1.0
"""Seconds after its start before a dead worker is replaced, so that one that cannot run costs little."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)
STATUS_WORKER = -1
"""The number of the process that answers how the receiver is."""
TICKS_A_SECOND = 10


def serve_until_stopped(
    app: Starlette,
    host: str,
    port: int,
    workers: int,
    show_address: Callable[[str], None] = lambda _: None,
    status: StatusServer | None = None,
) -> None:
    """Serve requests until SIGTERM or SIGINT.

    Open requests are still answered, if that does not take longer than the service allows, and all workers have ended
    when this returns; a second SIGINT kills them.

    Parameters
    ----------
    app : Starlette
        Made by :func:`dayfile.serving.application.make_application`, for the same number of workers, or by
        :func:`dayfile.web.application.make_site`; its ``state.service`` is a
        :class:`dayfile.serving.service.Service`.
    host : str
        Name or address to listen on.
    port : int
        Port; 0 for any that is free.
    workers : int
        Number of processes that answer.
    show_address : callable
        Called with each address at which it listens, once it does.
    status : StatusServer, optional
        Answers how the receiver is, in a process of its own.

    Raises
    ------
    UsageError
        It cannot listen there.
    DayfileError
        The system refuses another process; those that were started have ended.
    """
    raise_descriptor_limit()
    gc.freeze()  # what is imported stays: collections need not look at it, and workers share its memory
    with catch_signals() as noted:
        sockets = bind(host, port)
        stop, life = os.pipe()
        crew = Crew(app, sockets, stop, life, status)
        members: dict[int, WorkerProcess] = {}
        service: Service = app.state.service
        try:
            if status is not None:
                members[STATUS_WORKER] = crew.start(STATUS_WORKER)
            members.update((number, crew.start(number)) for number in range(workers))
            addresses = [format_address(listener) for listener in sockets]
            service.begin(addresses[0])
            for address in addresses:
                show_address(address)
                logger.info("serving on %s", address, extra={"fields": {"event": "serving", "address": address}})
            supervisor = Supervisor()
            supervisor.report_ready(f"listening on {addresses[0]}")
            number = crew.look_after(members, noted, supervisor)
            supervisor.report_stopping("answering what is under way")
            if number == signal.SIGINT:
                announce(f"answering what is under way; {AGAIN}")
        finally:
            service.end()
            for listener in sockets:
                listener.close()
            os.close(life)
            wait_for_all([member.process for member in members.values()], noted)
            os.close(stop)
        logger.info("stopped", extra={"fields": {"event": "stopped"}})


def wait_for_all(processes: Sequence[ForkProcess], noted: int) -> None:
    """Wait until processes have ended; SIGINT kills them."""
    while left := [process for process in processes if process.is_alive()]:
        ready = wait([noted, *(process.sentinel for process in left)])
        if noted in ready and signal.SIGINT in os.read(noted, 1):
            for process in left:
                process.kill()


def bind(host: str, port: int) -> list[socket.socket]:
    """Bind a listening socket for each address of the host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return [
            socket.create_server(address, family=family, backlog=BACKLOG)
            for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found)
        ]
    except OSError as error:
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error


@contextmanager
def catch_signals() -> Iterator[int]:
    """Catch SIGTERM and SIGINT: yield a descriptor from which they can be read, a byte each."""
    noted, noting = os.pipe()
    os.set_blocking(noting, False)
    handlers = {number: signal.signal(number, lambda *_: None) for number in SIGNALS}
    before = signal.set_wakeup_fd(noting, warn_on_full_buffer=False)
    try:
        yield noted
    finally:
        signal.set_wakeup_fd(before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(noted)
        os.close(noting)


@dataclass(frozen=True)
class WorkerProcess:
    """A worker, and when it was started, by the monotonic clock."""

    process: ForkProcess
    began: float


@dataclass(frozen=True)
class Crew:
    """Workers of one server.

    Parameters
    ----------
    app : Starlette
        The application.
    sockets : sequence of socket
        Listening sockets.
    stop, life : int
        A pipe: its end tells a worker to stop, and only this process holds the writing end.
    status : StatusServer or None
        Answers how the receiver is.
    """

    app: Starlette
    sockets: Sequence[socket.socket]
    stop: int
    life: int
    status: StatusServer | None = None

    def start(self, number: int) -> WorkerProcess:
        """Fork a worker. Signals wait until it can take them."""
        process = get_context("fork").Process(target=self._work, args=(number,), name=f"worker {number}")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            process.start()
        except OSError as error:
            raise DayfileError(f"cannot start another process: {error.strerror or error}") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return WorkerProcess(process, time.monotonic())

    def look_after(self, members: dict[int, WorkerProcess], noted: int, supervisor: Supervisor) -> int:
        """Replace members that end, until a signal is noted; return its number."""
        service: Service = self.app.state.service
        while True:
            sentinels = [member.process.sentinel for member in members.values()]
            ready = wait([noted, *sentinels], supervisor.limit(BEAT_SECONDS))
            if noted in ready:
                break
            service.beat()
            supervisor.report_alive(f"{plural(len(members), 'process')} answering")
            for number, member in members.items():
                if member.process.sentinel in ready:
                    members[number] = self.replace(number, member)
        return os.read(noted, 1)[0]

    def replace(self, number: int, member: WorkerProcess) -> WorkerProcess:
        """Start a new worker in place of a dead one."""
        member.process.join()
        logger.error("worker %d ended (exit code %s); another is started", member.process.pid, member.process.exitcode)
        if number != STATUS_WORKER:
            self.app.state.service.forget(number)
        time.sleep(max(0.0, member.began + SHORTEST_LIFE - time.monotonic()))
        return self.start(number)

    def _work(self, number: int) -> None:
        """Run a worker."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # at a terminal it reaches all; the first process passes it on
        os.close(self.life)
        if number == STATUS_WORKER and self.status is not None:
            self.status.serve(self.stop)
            return
        service: Service = self.app.state.service
        service.begin_worker(number)
        limits = Connections(service.settings)
        config = uvicorn.Config(
            self.app,
            http=partial(Connection, limits=limits),  # type: ignore[arg-type]  # it is only called
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # see dayfile.serving.proxies
            timeout_keep_alive=KEEP_ALIVE,
            backlog=ACCEPTED_AT_ONCE,
        )
        try:
            asyncio.run(ServingProcess(config, self.stop, limits, service).serve(list(self.sockets)))
        finally:
            service.end()
            logging.shutdown()


class ServingProcess(uvicorn.Server):
    """A uvicorn server that stops by SIGTERM, or when a pipe is closed."""

    def __init__(self, config: uvicorn.Config, stop: int, limits: Connections, service: Service) -> None:
        super().__init__(config)
        self.stop = stop
        self.limits = limits
        self.service = service

    async def on_tick(self, counter: int) -> bool:
        """Give a sign of life about once a second; uvicorn calls this ten times as often."""
        if counter % TICKS_A_SECOND == 0:
            self.service.beat()
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections a few at a time, while more may wait: the loop has one number for both."""
        asyncio.get_running_loop().set_exception_handler(self.limits.note_failure)
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what is under way, and cut what takes too long."""
        cutting = asyncio.get_running_loop().call_later(self.service.stop_seconds, self._cut_all)
        await super().shutdown(sockets)
        cutting.cancel()

    def _cut_all(self) -> None:
        """Reset all connections, so that their requests end."""
        for connection in list(cast("set[Connection]", self.server_state.connections)):
            logger.warning("%s: cut, as the server stops", connection.address)
            connection.cut()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle other signals than uvicorn would."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end)
        loop.add_reader(self.stop, self._end)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        yield

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self.stop)
        self.should_exit = True
