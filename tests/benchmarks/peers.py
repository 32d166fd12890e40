"""What the service is compared with: a bare echo, and the plain route that one would write."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

JSON = (b"content-type", b"application/json")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back whatever comes, over HTTP and over a WebSocket."""
    if scope["type"] == "websocket":
        await talk(receive, send)
        return
    message = await receive()
    body = message["body"]
    if message["more_body"]:
        whole = bytearray(body)
        while message["more_body"]:
            message = await receive()
            whole += message["body"]
        body = whole
    await send(
        {"type": "http.response.start", "status": 200, "headers": [JSON, (b"content-length", b"%d" % len(body))]}
    )
    await send({"type": "http.response.body", "body": body})


async def talk(receive: Any, send: Any) -> None:
    """Send back what is said."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": message["text"]})


class Reading(BaseModel):
    """A reading, as one would describe it."""

    values: dict[str, float]
    seq: int | None = None


plain = FastAPI()
scalers: dict[str, Any] = {}


@plain.post("/v1/streams/{stream_id}/readings")
async def observe(stream_id: str, reading: Reading) -> dict[str, Any]:
    """Scale a reading by river, and learn from it."""
    scaler = scalers.get(stream_id)
    if scaler is None:
        from river.preprocessing import StandardScaler  # noqa: PLC0415 - for this peer only

        scaler = scalers[stream_id] = StandardScaler()
    scaler.learn_one(reading.values)
    return {"stream": stream_id, "values": scaler.transform_one(reading.values)}
