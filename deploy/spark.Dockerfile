# Spark with streamnorm: docker build -f deploy/spark.Dockerfile -t streamnorm-spark .
FROM spark:4.3.0-scala2.13-java17-ubuntu
USER root
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3.11 python3.11-venv \
 && rm -rf /var/lib/apt/lists/*
COPY LICENSE README.md pyproject.toml hatch_build.py /src/
COPY web /src/web
COPY service /src/service
# PySpark is the image's own.
RUN python3.11 -m venv /opt/streamnorm \
 && /opt/streamnorm/bin/pip install --no-cache-dir /src 'pandas>=2.2,<3' 'pyarrow>=18' 'grpcio>=1.67' 'grpcio-status>=1.67' 'protobuf>=5'
COPY deploy/spark_job.py /opt/job/
ENV PATH=/opt/streamnorm/bin:$PATH \
    PYSPARK_PYTHON=/opt/streamnorm/bin/python
USER spark
