# One image, several commands: `serve` (the default), `serve --only web`, `serve --only worker`, `migrate`, `check`.
#
#     docker build -t autoreview:0.1.0 --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" .
#
# For a release pin the base by digest: --build-arg PYTHON_IMAGE=python:3.13-slim-trixie@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
# The one thing that is pinned by its version alone; what it installs is checked against the locks' hashes.
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir "uv==${UV_VERSION}"
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    VIRTUAL_ENV=/opt/autoreview
WORKDIR /build
RUN uv venv "$VIRTUAL_ENV"

# What changes seldom first: the dependencies are a layer of their own, each file checked against its hash.
# Without the extra `embedded`: a container's PostgreSQL is a server of its own.
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --require-hashes -r requirements.lock

# The wheel as it would be published; what builds it is locked with hashes too.
COPY LICENSE README.md pyproject.toml requirements-dev.lock ./
COPY migrations ./migrations
COPY rules ./rules
COPY service ./service
RUN --mount=type=cache,target=/root/.cache/uv \
    uv build --wheel --out-dir dist --build-constraints requirements-dev.lock --require-hashes \
 && uv pip install --no-deps dist/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Autoreview" \
      org.opencontainers.image.description="An unattended reviewer for studies on Prolific" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

RUN groupadd --gid 10001 autoreview \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin autoreview
# Root's, so that the service can't change its own code.
COPY --from=build /opt/autoreview /opt/autoreview

ENV PATH=/opt/autoreview/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AUTOREVIEW_HOST=:: \
    AUTOREVIEW_LOG_FORMAT=json \
    AUTOREVIEW_RULES_DIR=/rules
EXPOSE 8080

# A number: Kubernetes' runAsNonRoot can't judge a name. Any other uid works as well; only /tmp is written to.
USER 10001:10001

# No init such as tini: the service handles SIGTERM itself, also as process 1, and starts no children to reap.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "service.web.probe"]
ENTRYPOINT ["autoreview"]
CMD ["serve"]
