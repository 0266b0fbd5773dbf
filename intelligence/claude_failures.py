"""Why Claude gave no answer.

ClaudeFailed
├── NotAsked            nothing was sent
│   ├── BudgetSpent     the call's budget or the month's cap has no room for this question
│   └── Resting         the breaker is open after failures
├── KeyRefused          401, 402, 403, credentials
├── QuestionRefused     400, 404, 409, 413, 422 …: asking again the same way is no use
├── Limited             429
├── Overloaded          503, 529
├── ServiceFailed       other 5xx, 408, 499
├── Unreachable         no connection, or it broke
├── TooSlow             the deadline passed
├── AnswerUnusable      cut off, malformed, not what the schema says
└── Declined            Claude refused to answer
"""


class ClaudeFailed(Exception):
    """Claude gave no answer that can be used. The message names no customer's words."""


class NotAsked(ClaudeFailed):
    """Nothing was sent."""


class BudgetSpent(NotAsked):
    """No room for this question in the call's budget or the month's cap."""


class Resting(NotAsked):
    """The service failed several times and is left alone for a while."""


class KeyRefused(ClaudeFailed):
    """The key is wrong, expired or without credit."""


class QuestionRefused(ClaudeFailed):
    """The service does not take this question, whoever asks again."""


class Limited(ClaudeFailed):
    """Too many questions; ``rest_s`` is how long the service said to wait."""

    def __init__(self, message: str, rest_s: float | None = None) -> None:
        super().__init__(message)
        self.rest_s = rest_s


class Overloaded(ClaudeFailed):
    """The service has no capacity."""


class ServiceFailed(ClaudeFailed):
    """The service broke."""


class Unreachable(ClaudeFailed):
    """No connection, or it broke."""


class TooSlow(ClaudeFailed):
    """The deadline passed."""


class AnswerUnusable(ClaudeFailed):
    """Cut off, malformed, or not of the schema."""


class Declined(ClaudeFailed):
    """Claude refused to answer."""
