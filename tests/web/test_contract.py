"""The API keeps what its description says, for requests that a machine thinks up."""

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from scripts.programs.callers import Server


def test_generated_requests_break_nothing(tmp_path_factory: Any) -> None:
    """Each path answers generated requests, good and bad, with a status and a body that its description names."""
    server = Server.start(tmp_path_factory.mktemp("contract"), SOTTOVOCE_RETURN_S="2")
    try:
        headers = {"origin": server.url, "cookie": f"sottovoce_session={server.cookie}"}
        schema = schemathesis.openapi.from_url(f"{server.url}/api/openapi.json")

        for result in schema.get_all_operations():
            operation = result.ok()

            @settings(max_examples=8, deadline=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
            def one(case: schemathesis.Case) -> None:
                answer = case.call(headers=headers)
                # A file or an offer may fit the description and still be no sound and no SDP.
                case.validate_response(answer, excluded_checks=[positive_data_acceptance])

            given(case=operation.as_strategy())(one)()

        async def alive() -> None:
            async with server.client() as client:
                assert (await client.get("/api/status")).json()["engine"]["alive"]

        asyncio.run(alive())
    finally:
        server.stop()
