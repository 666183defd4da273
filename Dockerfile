FROM python:3.11-slim AS build
WORKDIR /srv
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.11-slim
RUN useradd --system --uid 10001 --home-dir /srv ci
WORKDIR /srv
COPY --from=build /venv /venv
COPY app app
COPY ci_callback_receiver ci_callback_receiver
COPY server server
COPY workers workers
COPY gunicorn.conf.py .
# A volume that is mounted here belongs to the user below.
RUN install -d -o ci -m 700 spool
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0
# By number: Kubernetes' runAsNonRoot cannot tell who a name is.
USER 10001
EXPOSE 8000
# Of the web process only. Workers and relays of this image switch it off (compose.yaml): readyz says whether they are there.
HEALTHCHECK CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8000') + '/healthz', timeout=3)"]
CMD ["gunicorn", "--config", "gunicorn.conf.py", "app:create_app()"]
