-- Readings such as {"sensor": "boiler-7", "seq": 17, "time": 1795338000.0, "values": {"temp": 21.4}} in the topic
-- `readings`; the same, normalized, in the topic `normalized`. All messages of a sensor must be in one partition.
CREATE TABLE readings (
  `sensor` STRING,
  `seq` BIGINT,
  `time` DOUBLE,
  `values` MAP<STRING, DOUBLE>
) WITH (
  'connector' = 'kafka',
  'topic' = 'readings',
  'properties.bootstrap.servers' = 'kafka:9092',
  'properties.group.id' = 'streamnorm',
  'scan.startup.mode' = 'group-offsets',
  'properties.auto.offset.reset' = 'earliest',
  'format' = 'json'
);

CREATE TABLE normalized (
  `sensor` STRING,
  `seq` BIGINT,
  `time` DOUBLE,
  `values` MAP<STRING, DOUBLE>,
  `count` BIGINT,
  `ready` BOOLEAN,
  `gap` BIGINT,
  `replayed` BOOLEAN,
  `error` STRING
) WITH (
  'connector' = 'kafka',
  'topic' = 'normalized',
  'properties.bootstrap.servers' = 'kafka:9092',
  'sink.delivery-guarantee' = 'exactly-once',
  'sink.transactional-id-prefix' = 'streamnorm',
  'properties.transaction.timeout.ms' = '600000',
  'key.format' = 'raw',
  'key.fields' = 'sensor',
  'value.format' = 'json'
);
