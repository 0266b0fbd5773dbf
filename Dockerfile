# One image for `sottovoce serve` and `sottovoce agent`; docs/scale.md says what of it was seen to work.
FROM node:22-bookworm-slim AS pages
WORKDIR /app/web/ui
COPY web/ui/package.json web/ui/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY web/ui ./
RUN npm run build

FROM python:3.11-slim-bookworm
WORKDIR /app
RUN python -m venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
# The packages first: they change less often than the program. Hashes of all of them are in the lock.
COPY scripts/locks/build.txt scripts/locks/livekit.txt scripts/locks/
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r scripts/locks/build.txt \
 && pip install --no-cache-dir --disable-pip-version-check --require-hashes -r scripts/locks/livekit.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY voice voice
COPY coaching coaching
COPY intelligence intelligence
COPY web web
COPY --from=pages /app/web/ui/dist web/ui/dist
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e . \
 && useradd --uid 10001 --home-dir /data --no-create-home --no-log-init sottovoce \
 && mkdir /data && chown sottovoce /data
USER sottovoce
VOLUME /data
ENV SOTTOVOCE_DATA=/data SOTTOVOCE_HOST=0.0.0.0
EXPOSE 8440
ENTRYPOINT ["sottovoce"]
CMD ["serve"]
