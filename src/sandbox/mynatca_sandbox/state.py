"""What one running sandbox holds. Handlers get it by `state_of(request)`."""

from dataclasses import replace

from sanic import Request

from mynatca_sandbox.calls import Calls
from mynatca_sandbox.faults import Faults
from mynatca_sandbox.intercom.events import Event
from mynatca_sandbox.intercom.rate_limit import RateLimit
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.options import Options
from mynatca_sandbox.webhooks.delivery import Deliveries
from mynatca_sandbox.webhooks.topics import notifications
from mynatca_sandbox.world.model import World


class State:
    """A world, its indexes, the options, the counters and the deliveries of webhooks."""

    def __init__(self, world: World, options: Options) -> None:
        self.calls = Calls()
        self.webhooks = Deliveries(lambda: self.options)
        self.reset(world, options)

    @property
    def world(self) -> World:
        """The live world."""
        return self.store.world

    def reset(self, world: World, options: Options) -> None:
        """Swap in a world and options; rate window, faults, deliveries and counters start anew."""
        self.store = Store(world, self._happened)
        self.options = replace(options)
        self.rate_limit = RateLimit()
        self.faults = Faults(options.fault_seed)
        self.calls.clear()
        self.webhooks.reset()

    def change_options(self, options: Options) -> None:
        """Put `options` in force; a new seed restarts the faults."""
        if options.fault_seed != self.options.fault_seed:
            self.faults = Faults(options.fault_seed)
        self.options = options
        self.webhooks.check_url()

    def _happened(self, event: Event) -> None:
        if self.webhooks.live:
            for topic, item in notifications(event, self.store):
                self.webhooks.send(topic, item, self.world.workspace_id)


def state_of(request: Request) -> State:
    """Return the state of the sandbox that `request` arrived at."""
    state: State = request.app.ctx.state
    return state
