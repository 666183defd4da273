# One image for web, worker and relay. `python -m deploy.image FOLDER` runs these steps without a container engine.
# To pin the base by content as well: --build-arg BASE=debian:13.1-slim@sha256:…
ARG BASE=debian:13.1-slim

FROM ${BASE} AS python
# The archive keeps only the newest fix of a package: a version written here would soon be gone from it.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*

FROM python AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
# The installer has an environment of its own, so that none reaches the last stage.
RUN python3 -m venv /installer && python3 -m venv --without-pip /venv
COPY requirements.txt /tmp/
COPY requirements-traces.txt /tmp/
# With traces (docs/traces.md): --build-arg TRACES=yes
ARG TRACES=
RUN /installer/bin/pip --python /venv/bin/python install --no-cache-dir --require-hashes -r /tmp/requirements.txt \
        ${TRACES:+-r /tmp/requirements-traces.txt}
WORKDIR /srv
COPY app app
COPY ci_callback_receiver ci_callback_receiver
COPY server server
COPY workers workers
COPY gunicorn.conf.py ./
# A read-only root keeps no bytecode that a process makes. COPY keeps modes: those of a checkout made with umask 077 would
# leave files that only root can read.
RUN /venv/bin/python -m compileall -q /srv && chmod -R a+rX /srv

FROM python
RUN useradd --uid 10001 --no-create-home --home-dir /srv ci \
    && install --directory --owner=10001 --mode=700 /var/lib/ci-callback-receiver
COPY --from=build /venv /venv
COPY --from=build /srv /srv
WORKDIR /srv
ENV PATH=/venv/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 HOST=0.0.0.0
# By number: Kubernetes' runAsNonRoot cannot tell who a name is.
USER 10001
EXPOSE 8000
# It asks about whichever role runs in the container.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["python", "-m", "workers.health"]
CMD ["gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"]
