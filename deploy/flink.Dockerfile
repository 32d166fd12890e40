# Flink with streamnorm and the connector for Kafka: docker build -f deploy/flink.Dockerfile -t streamnorm-flink .
FROM maven:3-eclipse-temurin-17 AS jars
RUN mvn -q dependency:copy -Dartifact=org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2 -DoutputDirectory=/jars

FROM flink:2.3.0-java17
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3.11 python3.11-venv \
 && rm -rf /var/lib/apt/lists/*
COPY LICENSE README.md pyproject.toml hatch_build.py /src/
COPY web /src/web
COPY service /src/service
RUN python3.11 -m venv /opt/streamnorm && /opt/streamnorm/bin/pip install --no-cache-dir '/src[flink]'
COPY --from=jars /jars /opt/flink/lib
COPY deploy/flink_job.py deploy/flink_kafka.sql /opt/job/
# PyFlink's own jar: what a job in Python is submitted by
RUN cp /opt/flink/opt/flink-python-*.jar /opt/flink/lib/
ENV PATH=/opt/streamnorm/bin:$PATH
