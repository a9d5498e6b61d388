"""How long a job is put off."""

from mynatca_intercom.settings import WebhookSettings
from mynatca_webhook.worker import _wait


def test_the_waits_of_all_attempts_outlast_an_hour() -> None:
    """Even the shortest, of which each is half of the longest."""
    attempts = WebhookSettings.model_fields["max_attempts"].default
    longest = [max(_wait(attempt) for _ in range(1000)) for attempt in range(1, attempts)]
    assert sum(longest) / 2 > 3600 * 0.99
