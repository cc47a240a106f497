"""An embedded emulator of Amplitude's Experiment Management API, for tests and for trying things out.

It serves version 1 and the Beta API over real HTTP, with the documented limits and with faults on demand. It shares
nothing with the client, so that a misreading of the API cannot hide in both.
"""

from amp_exp_async.emulator.emulator import Emulator
from amp_exp_async.emulator.faults import Fault
from amp_exp_async.emulator.log import RecordedRequest
from amp_exp_async.emulator.serving import serve
from amp_exp_async.emulator.state import EmulatorState
from amp_exp_async.emulator.store import StateError

__all__ = ["Emulator", "EmulatorState", "Fault", "RecordedRequest", "StateError", "serve"]
