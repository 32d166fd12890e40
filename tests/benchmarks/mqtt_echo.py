"""What the MQTT bridge is compared with, a bare echo: `python -m tests.benchmarks.mqtt_echo PORT`."""

from __future__ import annotations

import asyncio
import sys

import aiomqtt


async def echo(port: int) -> None:
    """Publish every payload again, as aiomqtt does where it is told nothing else: nobody confirms anything (QoS 0)."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe("sensors/+/raw")
        async for message in client.messages:
            stream = message.topic.value.split("/")[1]
            await client.publish(f"sensors/{stream}/normalized", message.payload)


if __name__ == "__main__":
    asyncio.run(echo(int(sys.argv[1])))
