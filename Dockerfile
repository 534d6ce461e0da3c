# One image a service: build -> runtime -> targets pop3-service, peep-gateway, state-api.
#
# The same sources, lock file and base image give the same files, to the octet and the second: hashes in the lock
# file, one date for all (SOURCE_DATE_EPOCH, which also makes bytecode depend on contents and not on dates), one
# seed for the order of sets in bytecode.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    PYTHONHASHSEED=0 SOURCE_DATE_EPOCH=1577836800
# Any version of a compiler and of `strip` will do, and old ones leave the mirrors. The official image has Python's
# headers; a base with Debian's own Python gets them here.
# hadolint ignore=DL3008
RUN export DEBIAN_FRONTEND=noninteractive \
    && headers=$(python -c 'import sysconfig; print(sysconfig.get_path("include"))') \
    && apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends binutils gcc libc6-dev >/dev/null \
    && { [ -e "$headers/Python.h" ] || apt-get install -y -qq --no-install-recommends libpython3-dev >/dev/null; } \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements.lock requirements-local.lock ./
# The build backend comes from a lock file too, into an environment that stays behind in this stage.
RUN python -m venv /opt/build && /opt/build/bin/pip install --quiet --require-hashes -r requirements-local.lock
# Without pip inside: what runs needs no installer. Nor does it need symbols for debuggers (13 MB), sources of
# compiled modules, commands of libraries, or how a shell enters the environment.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --quiet --require-hashes -r requirements.lock \
    && find /opt/venv -name '*.so' -exec strip --strip-unneeded {} + \
    && find /opt/venv \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h' \) -delete \
    && find /opt/venv/bin -type f -delete
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY line-server line-server
COPY service-runtime service-runtime
COPY state-store state-store
COPY pop3-service pop3-service
COPY peep-gateway peep-gateway
COPY state-api state-api
COPY peepctl peepctl
RUN /opt/build/bin/pip wheel --quiet --no-build-isolation --no-deps --wheel-dir /build/wheels . \
    && pip --python /opt/venv/bin/python install --quiet --no-deps /build/wheels/*-abi3-*.whl \
    && find /opt/venv -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +

FROM ${PYTHON_IMAGE} AS runtime
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PEEP_POP3_HOST=0.0.0.0 \
    PEEP_HOST=0.0.0.0 \
    PEEP_HTTP_HOST=0.0.0.0 \
    PEEP_MAIL_DIR=/var/mail/peep \
    PEEP_MAIL_ROOTS=/var/mail
# The official image has Python's library without bytecode. Nothing can be written where Peep runs, so every start and
# every health check would compile anew what it imports: a check took 100 ms of CPU time, and takes 28.
RUN library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
    && touch /tmp/before \
    && PYTHONHASHSEED=0 python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
        -x '/(dist-packages|site-packages|ensurepip|idlelib|lib2to3|pydoc_data|test|tests|tkinter|turtledemo)/' "$library" \
    && find "$library" -newer /tmp/before -exec touch --date=@1577836800 {} + \
    && rm /tmp/before
# A fresh named volume mounted here takes over this folder's owner.
RUN install -d -o 10001 -g 10001 -m 0750 /var/mail/peep
COPY --from=build /opt/venv /opt/venv
WORKDIR /
USER 10001:10001
# What only who builds knows, for example: --build-arg REVISION=$(git rev-parse HEAD)
ARG VERSION=0.1.0
ARG REVISION=""
ARG CREATED=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="Peep" \
      org.opencontainers.image.description="A POP3 server that its operators can watch and change while it runs" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"

FROM runtime AS pop3-service
EXPOSE 1110 1995
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/venv/bin/python", "-m", "pop3_service", "health"]
ENTRYPOINT ["/opt/venv/bin/python", "-m", "pop3_service"]

FROM runtime AS peep-gateway
EXPOSE 2110 2995
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/venv/bin/python", "-m", "peep_gateway", "health"]
ENTRYPOINT ["/opt/venv/bin/python", "-m", "peep_gateway"]

FROM runtime AS state-api
EXPOSE 8110
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/opt/venv/bin/python", "-m", "state_api", "health"]
ENTRYPOINT ["/opt/venv/bin/python", "-m", "state_api"]
