# The image of the service. Extras: --build-arg EXTRAS=redis,mqtt. Releases name the base by its digest, too:
# --build-arg BASE=python:3.13-slim@sha256:…
ARG BASE=python:3.13-slim
FROM ${BASE} AS build
ARG EXTRAS=""
WORKDIR /src
COPY LICENSE README.md pyproject.toml hatch_build.py requirements.lock ./
COPY clients/python/hatch_metadata.py clients/python/
COPY web web
COPY service service
# A virtual environment without pip, which the next stage copies: versions and hashes are those of requirements.lock, and
# bytecode is checked by content, so that two builds are equal. NumPy's tests, a tenth of the image, stay out. The kernels are compiled here, for all processors: no
# container compiles anything.
ENV SOURCE_DATE_EPOCH=1577836800 STREAMNORM_LIBRARIES=all UV_NO_CACHE=1
RUN awk '/^[a-z]/ { wanted = /^uv==/ } wanted' requirements.lock > uv.lock \
 && pip install --no-cache-dir --no-deps --require-hashes -r uv.lock \
 && python -m venv --without-pip /opt/streamnorm \
 && uv build --wheel --build-constraints requirements.lock --out-dir dist . \
 && uv pip install --python /opt/streamnorm/bin/python --compile-bytecode --constraints requirements.lock \
      "streamnorm${EXTRAS:+[$EXTRAS]} @ file:///src/$(echo dist/*.whl)" \
 && find /opt/streamnorm/lib -path '*/numpy/*' -type d -name tests -prune -exec rm -r {} + \
 && cd /opt/streamnorm/lib/python3.*/site-packages/streamnorm-*.dist-info && rm uv_cache.json && sed -i '/uv_cache/d' RECORD

FROM ${BASE}
# The home folder is the volume, the only writable place. /keys is the mount point of
# volumes that pass a key to other containers: a new volume inherits the owner of the folder that it is mounted on.
RUN groupadd --gid 10001 streamnorm \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin streamnorm \
 && install -d -o streamnorm -g streamnorm -m 0700 /data \
 && install -d -o streamnorm -g streamnorm -m 0755 /keys
COPY --from=build /opt/streamnorm /opt/streamnorm
ENV PATH=/opt/streamnorm/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STREAMNORM_DATA_DIR=/data \
    STREAMNORM_HOST=0.0.0.0 \
    STREAMNORM_PORT=8000
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Python, because the image has no curl; http.client, because urllib would use the container's proxy settings.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['STREAMNORM_PORT']), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["streamnorm"]
CMD ["serve"]
