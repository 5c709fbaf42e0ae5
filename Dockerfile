# One image for all roles: `docker run chatq api`, `… worker`, `… db upgrade`, any command of chatq.
FROM python:3.11-slim AS build

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY chatq chatq
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -m venv /opt/chatq \
    && /opt/chatq/bin/pip install --no-cache-dir /wheels/*.whl

FROM python:3.11-slim

LABEL org.opencontainers.image.title="chatq" \
      org.opencontainers.image.description="A message queue for chat" \
      org.opencontainers.image.licenses="MIT"

# A number, so that an orchestrator can see that it is not root.
RUN groupadd --gid 10001 chatq \
    && useradd --uid 10001 --gid chatq --no-create-home --home-dir /var/lib/chatq chatq \
    && install --directory --owner=chatq --group=chatq --mode=0700 /var/lib/chatq
COPY --from=build /opt/chatq /opt/chatq

# A container's loopback is reached from nowhere, so the API listens on all of its addresses. It refuses that unless
# CHATQ_JWT_SECRET or CHATQ_JWT_JWKS_URL is set, or it is told `--insecure`: then keep the port private.
ENV PATH=/opt/chatq/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CHATQ_DATA_DIR=/var/lib/chatq \
    CHATQ_HOST=0.0.0.0 \
    CHATQ_LOG_FORMAT=json

USER 10001:10001
WORKDIR /var/lib/chatq
VOLUME /var/lib/chatq
EXPOSE 8000
STOPSIGNAL SIGTERM

# Of use to every role, since none works without Redis: can it be reached from here, and is it fit? A role that
# dies ends the container, which needs no check; for the API, ask /readyz instead (examples/compose.yaml does).
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["chatq", "redis-check"]

ENTRYPOINT ["chatq"]
CMD ["--help"]
