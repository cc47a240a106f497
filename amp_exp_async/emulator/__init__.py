"""An embedded emulator of Amplitude's Experiment Management API, for tests and demos.

It serves version 1 and the Beta API over real HTTP, with the documented limits and injected faults. It shares no code
with the client, so that a misreading of the API reference cannot hide in both.
"""

TYPE_CHECKING = False  # importing it from typing takes longer than all the rest
if TYPE_CHECKING:
    from .faults import Fault
    from .routes import ApiKey
    from .server import Emulator, serve
    from .service import RecordedRequest
    from .state_rules import StateError
    from .store import EmulatorState
else:
    from amp_exp_async.lazy_imports import lazy_imports

    __getattr__, __dir__ = lazy_imports(
        __name__,
        {
            "faults": ("Fault",),
            "routes": ("ApiKey",),
            "server": ("Emulator", "serve"),
            "service": ("RecordedRequest",),
            "state_rules": ("StateError",),
            "store": ("EmulatorState",),
        },
    )

__all__ = ["ApiKey", "Emulator", "EmulatorState", "Fault", "RecordedRequest", "StateError", "serve"]
