FROM python:3.11-slim
WORKDIR /app
COPY requirements.lock pyproject.toml README.md ./
COPY processors processors
COPY streams streams
COPY alerts alerts
RUN pip install --no-cache-dir --require-hashes -r requirements.lock \
    && pip install --no-cache-dir --no-deps . \
    && useradd --system --home /app marginwatch
USER marginwatch
ENTRYPOINT ["marginwatch"]
