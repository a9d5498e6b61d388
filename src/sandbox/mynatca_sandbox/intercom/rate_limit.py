"""Rate windows (Intercom REST: Rate limiting): calls are counted in fixed windows of 10 seconds."""

from dataclasses import dataclass

from mynatca_sandbox.options import Options


@dataclass(frozen=True, slots=True)
class Quota:
    """Where a call stands in its window. `reset` is the window's end in Unix seconds."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool

    def headers(self) -> dict[str, str]:
        """Return the rate headers as Intercom names them."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class RateLimit:
    """Counts calls in windows that begin at whole multiples of their length."""

    def __init__(self) -> None:
        self._window_end = 0
        self._used = 0

    def take(self, options: Options, now: float) -> Quota | None:
        """Count one call at `now` (Unix seconds); None where there is no limit."""
        if options.limit is None:
            return None
        window_end = (int(now) // options.window_seconds + 1) * options.window_seconds
        if window_end != self._window_end:
            self._window_end, self._used = window_end, 0
        exceeded = self._used >= options.limit
        if not exceeded:
            self._used += 1
        return Quota(options.limit, max(0, options.limit - self._used), window_end, exceeded)
