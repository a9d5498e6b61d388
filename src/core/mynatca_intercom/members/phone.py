"""Phone numbers as people type them, brought to E.164 by the `phonenumbers` library."""

from functools import lru_cache

import phonenumbers


@lru_cache(maxsize=65536)
def e164(raw: str, region: str) -> str | None:
    """The number as `+` and digits without its extension, or None when it cannot be a phone number.

    `region` is the country (ISO 3166-1) of numbers without a country code. Possible numbers are taken, not only
    valid ones: new area codes reach the library's data late. Local ones, without an area code, are not.
    """
    try:
        number = phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
