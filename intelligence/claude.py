"""Claude, asked through the official SDK: structured, streamed, cached, in time, within its budget. The only import of anthropic.

Every failure of the SDK, and of what lies under it, becomes one of intelligence/claude_failures.py, here and nowhere else.
"""

import asyncio
import contextlib
import datetime
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, cast

import anthropic
import httpx2  # the SDK's transport; what breaks in mid-stream comes through bare
from anthropic.types import OutputConfigParam, TextBlockParam, ThinkingConfigParam

from intelligence.claude_failures import (
    AnswerUnusable,
    BudgetSpent,
    ClaudeFailed,
    Declined,
    KeyRefused,
    Limited,
    NotAsked,
    Overloaded,
    QuestionRefused,
    Resting,
    ServiceFailed,
    TooSlow,
    Unreachable,
)
from intelligence.claude_spend import Breaker, CallBudget, Model, Spent, Usage, load_models, model_named, tokens_of
from intelligence.prompts import AnswerModel, Question

_MOST_ANSWER: Final = 20_000  # characters
_AT_A_TIME: Final = 8  # questions of all calls of this process
_KEY_REST_S: Final = 600.0
_THOUGHT_TOKENS: Final = 1500


# The nearest class in an exception's line of descent decides; test_claude.py holds that none is missing.
TRANSLATED: Final[dict[type[BaseException], type[ClaudeFailed]]] = {
    anthropic.AuthenticationError: KeyRefused,
    anthropic.PermissionDeniedError: KeyRefused,
    anthropic.PaymentRequiredError: KeyRefused,
    anthropic.CredentialsError: KeyRefused,
    anthropic.WorkloadIdentityError: KeyRefused,
    anthropic.BadRequestError: QuestionRefused,
    anthropic.NotFoundError: QuestionRefused,
    anthropic.ConflictError: QuestionRefused,
    anthropic.PreconditionFailedError: QuestionRefused,
    anthropic.ContentTooLargeError: QuestionRefused,
    anthropic.UnprocessableEntityError: QuestionRefused,
    anthropic.RequestHeaderFieldsTooLargeError: QuestionRefused,
    anthropic.RateLimitError: Limited,
    anthropic.OverloadedError: Overloaded,
    anthropic.ServiceUnavailableError: Overloaded,
    anthropic.GatewayTimeoutError: ServiceFailed,
    anthropic.RequestTimeoutError: ServiceFailed,
    anthropic.ClientClosedRequestError: ServiceFailed,
    anthropic.InternalServerError: ServiceFailed,
    anthropic.APIStatusError: ServiceFailed,
    anthropic.APITimeoutError: TooSlow,
    anthropic.APIConnectionError: Unreachable,
    anthropic.APIResponseValidationError: AnswerUnusable,
    anthropic.APIWebhookValidationError: AnswerUnusable,
    anthropic.RetryableError: ServiceFailed,
    anthropic.APIError: ServiceFailed,
    anthropic.AnthropicError: ServiceFailed,
    httpx2.TimeoutException: TooSlow,
    httpx2.TransportError: Unreachable,
    httpx2.HTTPError: Unreachable,
    httpx2.InvalidURL: Unreachable,
    httpx2.CookieConflict: Unreachable,
    httpx2.StreamError: AnswerUnusable,
    TimeoutError: TooSlow,
    OSError: Unreachable,
    UnicodeError: AnswerUnusable,
    ValueError: AnswerUnusable,  # json, pydantic
    TypeError: AnswerUnusable,
    LookupError: AnswerUnusable,
    AttributeError: AnswerUnusable,
}
_BY_TYPE: Final = {
    "overloaded_error": Overloaded,
    "rate_limit_error": Limited,
    "authentication_error": KeyRefused,
    "api_error": ServiceFailed,
}


def translated(failure: Exception) -> ClaudeFailed:
    """What an exception of the SDK means here. Its words stay behind: they may quote the question."""
    if isinstance(failure, ClaudeFailed):
        return failure
    kind = next((TRANSLATED[base] for base in type(failure).__mro__ if base in TRANSLATED), ServiceFailed)
    if isinstance(failure, anthropic.APIStatusError) and failure.status_code < 400:  # an error event inside a stream that began well
        kind = _BY_TYPE.get(str(failure.type), ServiceFailed)
    if kind is Limited:
        return Limited(type(failure).__name__, _retry_after(failure))
    return kind(type(failure).__name__)


def _retry_after(failure: Exception) -> float | None:
    if not isinstance(failure, anthropic.APIStatusError):
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(failure.response.headers.get("retry-after", "")))
    return None  # a date, or nothing


@dataclass(frozen=True, slots=True)
class ClaudeSettings:
    """``deadline_s`` for a card while people talk. ``monthly_usd`` 0: no cap."""

    key: str = field(repr=False)
    model: str = "claude-haiku-5-5"
    url: str = "https://api.anthropic.com"
    deadline_s: float = 4.0
    monthly_usd: float = 20.0
    call_usd: float = 0.25
    call_tokens: int = 200_000

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("a key is needed")
        if self.deadline_s <= 0 or self.call_tokens < 0 or min(self.monthly_usd, self.call_usd) < 0:
            raise ValueError("a deadline is positive, budgets are not negative")


class Ledger(Protocol):
    """Keeps what was spent; web/store.py does it."""

    async def spend(self, spent: Spent) -> None: ...

    async def spent_usd(self, month: str) -> float: ...


@dataclass(frozen=True, slots=True)
class Answer(Generic[AnswerModel]):
    """``value`` has the shape that the question asked for. Times in ms from sending: first words, all of it."""

    value: AnswerModel
    usage: Usage
    usd: float | None
    first_ms: float
    took_ms: float
    model: str


@dataclass(slots=True)
class _Heard:
    """What a stream has said so far."""

    text: str = ""
    usage: Usage | None = None
    stop: str = ""
    first: float | None = None
    ended: bool = False


class Claude:
    """One per process. ask() raises nothing but ClaudeFailed (and CancelledError)."""

    def __init__(
        self, settings: ClaudeSettings, ledger: Ledger, *, breaker: Breaker | None = None, clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime.date] = lambda: datetime.datetime.now(datetime.UTC).date(),
    ) -> None:  # fmt: skip
        self.settings = settings
        self.model: Model = model_named(settings.model, load_models())
        self.breaker = breaker or Breaker()
        self._ledger, self._clock, self._today = ledger, clock, today
        self._reserved_usd = 0.0
        self._places = asyncio.Semaphore(_AT_A_TIME)
        # No retries: the local card stands already, and an answer that comes late helps nobody. No tracing: it would carry words.
        self._client = anthropic.AsyncAnthropic(
            api_key=settings.key, base_url=settings.url, max_retries=0, timeout=60.0, open_telemetry=False
        )

    async def aclose(self) -> None:
        await self._client.close()

    def budget(self) -> CallBudget:
        """A live call's own."""
        return CallBudget(self.settings.call_usd, self.settings.call_tokens)

    async def ask(
        self, call: str, question: Question[AnswerModel], budget: CallBudget, *, deadline_s: float | None = None
    ) -> Answer[AnswerModel]:
        """One question. ``call``: whose spending it is."""
        began, heard = self._clock(), _Heard()
        most_usd = self.model.most_usd(question.characters, self._most_tokens(question), self._today())
        outcome = "cancelled"
        sent = False
        try:
            async with asyncio.timeout(deadline_s or self.settings.deadline_s), self._places:
                await self._admit(question, budget, most_usd)
                self._reserved_usd += most_usd or 0.0
                sent = True
                await self._stream(question, heard)
                answer = self._answer(question, heard, began)
            outcome = "answered"
            self.breaker.succeeded()
            return answer
        except Exception as failure:
            wrong = translated(failure)
            outcome = type(wrong).__name__
            self._failed(wrong, sent=sent)
            raise wrong from None
        finally:
            if sent:
                if outcome == "cancelled":
                    self.breaker.abandoned()
                try:
                    await self._record(call, question, heard, budget, outcome)
                finally:
                    self._reserved_usd -= most_usd or 0.0  # only now is it in the ledger

    async def _admit(self, question: Question[Any], budget: CallBudget, most_usd: float | None) -> None:
        """Raises NotAsked. The breaker is asked last, because its yes is a probe."""
        if not budget.admits(tokens_of(question.characters) + self._most_tokens(question), most_usd):
            raise BudgetSpent("this call's budget for Claude is used up")
        cap = self.settings.monthly_usd
        if cap and most_usd is not None:
            spent = await self._ledger.spent_usd(f"{self._today():%Y-%m}")
            if spent + self._reserved_usd + most_usd > cap:
                raise BudgetSpent("this month's cap for Claude is reached")
        if not self.breaker.allows(self._clock()):
            raise Resting("Claude failed several times and is left alone for a while")

    async def _stream(self, question: Question[Any], heard: _Heard) -> None:
        system: list[TextBlockParam] = [{"type": "text", "text": text} for text in question.system]
        system[-1]["cache_control"] = {"type": "ephemeral"}  # rules and playbook: the same for every question of every call
        output: OutputConfigParam = {"format": {"type": "json_schema", "schema": question.schema}}
        if self.model.effort:
            output["effort"] = self.model.effort  # type: ignore[typeddict-item]  # a word from claude.toml
        async with await self._client.messages.create(
            model=self.model.id,
            max_tokens=self._most_tokens(question),
            stream=True,
            messages=[{"role": "user", "content": question.content}],
            system=system,
            output_config=output,
            thinking=cast(ThinkingConfigParam, {"type": self.model.thinking}) if self.model.thinking else anthropic.omit,
        ) as stream:
            async for event in _events(stream):
                self._hear(event, heard)
                if len(heard.text) > _MOST_ANSWER:
                    raise AnswerUnusable("the answer does not end")

    def _most_tokens(self, question: Question[Any]) -> int:
        """A model whose thinking cannot be switched off thinks within max_tokens."""
        return question.max_tokens + (0 if self.model.thinking else _THOUGHT_TOKENS)

    def _hear(self, event: Any, heard: _Heard) -> None:
        match event.type:
            case "message_start":
                heard.usage = _usage(event.message.usage, Usage())
            case "content_block_delta" if event.delta.type == "text_delta":
                heard.first = heard.first or self._clock()
                heard.text += event.delta.text
            case "message_delta":
                heard.stop = event.delta.stop_reason or heard.stop
                heard.usage = _usage(event.usage, heard.usage or Usage())
            case "message_stop":
                heard.ended = True
            case _:
                pass  # thinking and what the API may add

    def _answer(self, question: Question[AnswerModel], heard: _Heard, began: float) -> Answer[AnswerModel]:
        if heard.stop == "refusal":
            raise Declined("Claude declined to answer")
        if not heard.ended or heard.usage is None or heard.stop != "end_turn":
            raise AnswerUnusable(f"the answer was cut off ({heard.stop or 'no end'})")
        value = question.read(heard.text)
        now = self._clock()
        first = heard.first or now
        usd = self.model.usd(heard.usage, self._today())
        return Answer(value, heard.usage, usd, (first - began) * 1000, (now - began) * 1000, self.model.id)

    def _failed(self, wrong: ClaudeFailed, *, sent: bool) -> None:
        match wrong:
            case NotAsked():
                pass
            case Declined():
                self.breaker.succeeded()  # the service works; it does not like this question
            case KeyRefused():
                self.breaker.failed(self._clock(), rest_s=_KEY_REST_S)
            case Limited(rest_s=rest_s) if rest_s is not None:
                self.breaker.failed(self._clock(), rest_s=rest_s)
            case _ if sent:
                self.breaker.failed(self._clock())
            case _:
                pass

    async def _record(self, call: str, question: Question[Any], heard: _Heard, budget: CallBudget, outcome: str) -> None:
        """Into budget and ledger. What was refused costs nothing; what was cut off costs what came, and the question."""
        if outcome in ("KeyRefused", "QuestionRefused", "Limited", "Overloaded", "ServiceFailed", "Unreachable") and heard.usage is None:
            return
        usage = heard.usage or Usage(input=tokens_of(question.characters), estimated=True)
        if not heard.ended:
            usage = Usage(usage.input, max(usage.output, tokens_of(len(heard.text))), usage.cache_write, usage.cache_read, estimated=True)
        usd = self.model.usd(usage, self._today())
        budget.spend(usage, usd)
        await self._ledger.spend(Spent(call, question.purpose, self.model.id, usage, usd, outcome))


async def _events(stream: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for event in stream:
        if not isinstance(getattr(event, "type", None), str):
            raise AnswerUnusable("an event without a type")
        yield event


def _usage(told: Any, before: Usage) -> Usage:
    """Counts are running totals; one that is not told stays as it was. Raises ValueError."""

    def count(name: str, old: int) -> int:
        value = getattr(told, name, None)
        if value is None:
            return old
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"{name} is no count")
        return value

    return Usage(
        count("input_tokens", before.input),
        count("output_tokens", before.output),
        count("cache_creation_input_tokens", before.cache_write),
        count("cache_read_input_tokens", before.cache_read),
    )
