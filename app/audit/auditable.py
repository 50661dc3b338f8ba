"""Which settings leave a record of all that an audit must know."""

from app.config import Settings
from app.errors import UsageError


def require_auditable(settings: Settings) -> None:
    """Raise UsageError where the settings leave no record of what an audit must know."""
    if dropped := [name for name in settings.stream_names if settings.late(name)[0] == "drop"]:
        raise UsageError(
            f'late = "drop" keeps no record of late rows of {", ".join(dropped)}, so an audit could not tell '
            'them from lost ones: say worker.late = "side"'
        )
    if settings.worker.dead == "drop" and settings.pipeline.max_ahead_ns is not None:
        raise UsageError(
            'worker.dead = "drop" keeps no record of rows beyond pipeline.max_ahead_ns, so an audit could '
            'not tell them from lost ones: say worker.dead = "side"'
        )
