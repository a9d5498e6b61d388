"""Every setting of the service, without anything that it is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from mynatca_intercom.settings import (
    IntercomSettings,
    MemberCacheSettings,
    MemberSettings,
    TagSettings,
    WebhookSettings,
    load,
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every setting of the service."""

    webhook: WebhookSettings
    intercom: IntercomSettings
    rules: MemberSettings
    cache: MemberCacheSettings
    tags: TagSettings

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings in an environment.

        Raises:
            SettingsError: one is missing or malformed.
        """
        return cls(
            load(WebhookSettings, environment),
            load(IntercomSettings, environment),
            load(MemberSettings, environment),
            load(MemberCacheSettings, environment),
            load(TagSettings, environment),
        )
