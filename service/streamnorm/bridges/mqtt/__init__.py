"""MQTT: subscribes to raw readings, publishes normalized ones."""
