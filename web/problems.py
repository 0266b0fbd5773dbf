"""Errors as problem details (RFC 9457), for everything that HTTP answers here."""

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

logger = structlog.get_logger()


class Problem(Exception):
    """Answered as application/problem+json; ``detail`` says what to do, in words for a person."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class ProblemDetails(BaseModel):
    type: str = "about:blank"
    title: str
    status: int
    detail: str


def problem(status: int, detail: str, headers: Any = None) -> JSONResponse:
    body = ProblemDetails(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(body.model_dump(), status, headers, "application/problem+json")


def install(app: FastAPI) -> None:
    async def ours(_: Request, failure: Exception) -> JSONResponse:
        assert isinstance(failure, Problem)
        return problem(failure.status, failure.detail)

    async def http(_: Request, failure: Exception) -> JSONResponse:
        assert isinstance(failure, HTTPException)
        return problem(failure.status_code, str(failure.detail), failure.headers)

    async def invalid(_: Request, failure: Exception) -> JSONResponse:
        assert isinstance(failure, RequestValidationError)
        said = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in failure.errors()[:5])
        return problem(422, said)

    async def unexpected(request: Request, failure: Exception) -> JSONResponse:
        logger.error("request failed", path=request.scope.get("route_path", ""), failure=type(failure).__name__)
        return problem(500, "Something went wrong here; the server's log says where. Running calls go on.")

    app.add_exception_handler(Problem, ours)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)
