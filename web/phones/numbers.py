"""Telephone numbers: one spelling (E.164), what kind a number is, and whose clock hangs where it rings. The only import of phonenumbers in web."""

import re
from typing import Final, Literal, TypeAlias

import phonenumbers
from phonenumbers import shortnumberinfo, timezone

Kind: TypeAlias = Literal["emergency", "extension", "ordinary", "toll_free", "premium", "none"]

# Beyond what the library calls emergency: crisis line, 911 address test, and the services of the North American plan
# (relay for the deaf among them) that only the line's own carrier can route.
_NEVER_THROUGH_US: Final = re.compile(r"\+?[0189]?1?(?:911|112|933|988|[2-8]11)$")
_URI: Final = re.compile(r"^\s*(?:.*<)?(?:sips?|tel|callto):([^@;>?]+)", re.I)
_LONGEST_EXTENSION: Final = 6
_PREMIUM: Final = frozenset({phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST})
_PREMIUM_EXCHANGE: Final = re.compile(r"[2-9]\d\d976\d{4}$")  # of the North American plan, sold by the minute
# Satellite, network services and international premium: no country's tariff holds there.
_PREMIUM_CODES: Final = frozenset({870, 878, 881, 882, 883, 888, 979})


def dialled(text: str) -> str:
    """What was dialled, without the dress of a URI or of print: digits, a leading +, * and #."""
    if re.match(r"\s*<?urn:service:sos", text, re.I):
        return "911"
    found = _URI.match(text)
    bare = (found[1] if found else text).split(";")[0]
    digits = re.sub(r"[^0-9+*#]", "", bare)
    return digits[:1] + digits[1:].replace("+", "")


def e164(number: str, country: str = "US") -> str:
    """+13125550100 for every spelling of it; "" for what is no telephone number (an extension, "anonymous", rubbish)."""
    parsed = _parsed(number, country)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if parsed is not None else ""


def kind(number: str, country: str = "US") -> Kind:
    """What dialling it would reach. An emergency call is recognised behind a digit for an outside line, and behind + or 1 too."""
    digits = dialled(number)
    # Exchanges send 911 on as soon as they see it, whatever follows; +91 1… is India, and that is why a + counts.
    if _NEVER_THROUGH_US.match(digits) or (digits[:1] != "+" and shortnumberinfo.connects_to_emergency_number(digits, country)):
        return "emergency"
    parsed = _parsed(digits, country)
    if parsed is None:
        return "extension" if digits.isdigit() and 2 <= len(digits) <= _LONGEST_EXTENSION else "none"
    sort = phonenumbers.number_type(parsed)
    if sort in _PREMIUM or parsed.country_code in _PREMIUM_CODES or _PREMIUM_EXCHANGE.match(str(parsed.national_number)):
        return "premium"
    return "toll_free" if sort == phonenumbers.PhoneNumberType.TOLL_FREE else "ordinary"


def region(number: str) -> str:
    """The country of an E.164 number, two letters; "001" for none in particular; "" when it is not known."""
    parsed = _parsed(number, "US")
    if parsed is None:
        return ""
    return phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(parsed.country_code or 0)


def zones(number: str) -> tuple[str, ...]:
    """Time zones in which an E.164 number may ring, by its area code (a mobile telephone may be elsewhere); empty when not known."""
    parsed = _parsed(number, "US")
    found = timezone.time_zones_for_number(parsed) if parsed is not None else ()
    return tuple(zone for zone in found if zone != timezone.UNKNOWN_TIMEZONE)


def _parsed(number: str, country: str) -> phonenumbers.PhoneNumber | None:
    try:
        parsed = phonenumbers.parse(dialled(number), country)
    except phonenumbers.NumberParseException:
        return None
    whole = phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE
    return parsed if whole else None
