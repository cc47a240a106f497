"""Serve until the process is told to end."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

from amp_exp_async.emulator.emulator import Emulator


async def serve(emulator: Emulator, *, state_file: Path | None, on_ready: Callable[[Emulator], None]) -> None:
    """Serve until SIGINT or SIGTERM, stop gracefully, and save the state to the file if one is given.

    The file is only written here, at the start and at the end; to begin with its content, make the emulator with it.
    `on_ready` is called once, when
    requests are accepted and `base_url` is known.
    """
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    # Where the loop has no signal handlers (Windows), Ctrl-C cancels this task, and the same steps follow.
    with contextlib.suppress(NotImplementedError):
        for number in signals:
            loop.add_signal_handler(number, told_to_end.set)
    try:
        async with emulator:
            if state_file is not None:
                emulator.save(state_file)  # at once: a file that cannot be written must not cost the work of an hour
            try:
                on_ready(emulator)
                await told_to_end.wait()
            finally:
                if state_file is not None:
                    emulator.save(state_file)
    finally:
        with contextlib.suppress(NotImplementedError):  # as above
            for number in signals:
                loop.remove_signal_handler(number)
