# The image of pod-exporter: `make image`. Both stages stand on one base, so that the interpreter which the virtual
# environment points to is in both; releases pin it by digest. It needs python3 (3.11 or newer) with venv and ensurepip.
ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
WORKDIR /src
COPY requirements/build.lock requirements/image.lock requirements/
# Behind a package index of your own: --secret id=pip,src=/etc/pip.conf
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    && python3 -m venv /build && python3 -m venv --without-pip /app \
    && /build/bin/pip install --quiet --require-hashes --only-binary=:all: --requirement requirements/build.lock \
    && /build/bin/pip --python /app/bin/python install --quiet --no-compile \
        --require-hashes --only-binary=:all: --requirement requirements/image.lock
COPY pyproject.toml README.md LICENSE ./
COPY exporter exporter
# Of the kubernetes package only the loaders of credentials are used: its models and clients of every API, most of
# the image otherwise, are never imported. A test loads every kind of credentials from what is left.
RUN export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    && /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /build/bin/pip --python /app/bin/python install --quiet --no-compile --no-deps /wheels/*.whl \
    && cd /app/lib/python3*/site-packages \
    && find kubernetes/client/models kubernetes/client/api -name '*.py' ! -name '__init__.py' -delete \
    && rm -rf kubernetes/aio kubernetes/docs \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /app/lib

FROM ${BASE}
# Nothing in the image can install anything.
RUN python3 -c "import importlib.util as u, shutil; \
        [shutil.rmtree(s.submodule_search_locations[0]) \
         for s in map(u.find_spec, ('pip', 'setuptools', 'wheel', 'ensurepip')) if s]" \
    && rm -rf /usr/local/bin/pip* /usr/share/python-wheels
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 9873
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["pod-exporter", "healthcheck"]
ENTRYPOINT ["pod-exporter"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pod-exporter" \
      org.opencontainers.image.description="Remembers what happened to Kubernetes pods and tells Prometheus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
