"""An embedded emulator of Amplitude's Experiment Management API, for tests and demos.

It serves version 1 and the Beta API over real HTTP, with the documented limits and injected faults. It shares no code
with the client, so that a misreading of the API reference cannot hide in both.
"""

from amp_exp_async.emulator.faults import Fault
from amp_exp_async.emulator.routes import ApiKey
from amp_exp_async.emulator.server import Emulator, serve
from amp_exp_async.emulator.service import RecordedRequest
from amp_exp_async.emulator.store import EmulatorState, StateError

__all__ = ["ApiKey", "Emulator", "EmulatorState", "Fault", "RecordedRequest", "StateError", "serve"]
