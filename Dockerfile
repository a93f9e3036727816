ARG PYTHON_IMAGE=python:3.11-slim
FROM ${PYTHON_IMAGE}
WORKDIR /app
COPY requirements-production.lock pyproject.toml README.md LICENSE ./
COPY processors processors
COPY feeds feeds
COPY alerts alerts
COPY console console
COPY streams streams
RUN pip install --no-cache-dir --require-hashes -r requirements-production.lock \
    && pip install --no-cache-dir --no-deps --no-build-isolation . \
    && useradd --system --home /app marginwatch
USER marginwatch
ENTRYPOINT ["marginwatch"]
