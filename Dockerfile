# One image for gateways and forwarders: what runs is the argument (serve, forward, …).
FROM python:3.11-slim AS build
WORKDIR /build
COPY deploy/requirements.lock ./
RUN python -m venv /opt/kommunebro \
 && /opt/kommunebro/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY kommunebro kommunebro
COPY client_credentials client_credentials
COPY broker_adapters broker_adapters
COPY municipality_connectors municipality_connectors
COPY exchange_gateway exchange_gateway
RUN /opt/kommunebro/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
LABEL org.opencontainers.image.title="Kommunebro" org.opencontainers.image.licenses="EUPL-1.2"
# The number is fixed, so that the owner of a mounted folder or secret can be set on the host.
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin kommunebro \
 && install -d -o kommunebro -g kommunebro -m 700 /var/lib/kommunebro
COPY --from=build /opt/kommunebro /opt/kommunebro
ENV PATH="/opt/kommunebro/bin:$PATH" KOMMUNEBRO_DATA=/var/lib/kommunebro PYTHONUNBUFFERED=1
USER kommunebro
VOLUME /var/lib/kommunebro
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["kommunebro"]
CMD ["serve", "--host", "0.0.0.0"]
