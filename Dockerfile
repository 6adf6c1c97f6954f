# The service in a small image: two stages, so that compilers and headers stay behind.
#   docker build -t diffaid .
#   docker run --rm -p 127.0.0.1:8080:8080 -v "$PWD/models:/models:ro" diffaid
FROM debian:trixie-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
        cmake ninja-build gcc libc6-dev pkgconf \
        libmicrohttpd-dev libjson-c-dev libsqlite3-dev libpcre2-dev libssl-dev libseccomp-dev \
        libcurl4-openssl-dev zlib1g-dev libminizip-dev libhdf5-dev
WORKDIR /src
COPY CMakeLists.txt CMakePresets.json openapi.yaml ./
COPY core core
COPY api api
COPY server server
RUN cmake --preset release -DBUILD_TESTING=OFF \
    && cmake --build --preset release \
    && DESTDIR=/out cmake --install build/release --prefix /usr/local --strip

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libmicrohttpd12t64 libjson-c5 libsqlite3-0 libpcre2-8-0 libssl3t64 libseccomp2 \
        libcurl4t64 ca-certificates zlib1g libminizip1t64 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/apt /var/log/dpkg.log \
    && useradd --uid 10001 --home-dir /var/lib/diffaid --create-home --shell /usr/sbin/nologin diffaid \
    && mkdir /models
COPY --from=build /out/usr/local/bin/ /usr/local/bin/
USER 10001:10001
EXPOSE 8080
VOLUME /var/lib/diffaid
# The image holds no curl: the program asks its own readiness.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["diffaid", "health"]
ENTRYPOINT ["diffaid"]
# Inside a container only the container's network sees this address; who may reach it is decided by what publishes
# the port. --no-auth says aloud that whoever does reach it may use it.
CMD ["serve", "--listen", "0.0.0.0:8080", "--no-auth", "--models-root", "/models", "--state-dir", "/var/lib/diffaid"]
