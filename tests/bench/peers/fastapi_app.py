"""FastAPI and asyncpg under uvicorn, with uvloop and httptools: POST /webhooks/crossborderly stores an event. asyncpg prepares each statement once a connection.

Environment: SECRET_FILE, PEER_DSN, POOL (connections of a worker).
"""

import hashlib
import hmac
import json
import os
from datetime import datetime
from pathlib import Path

import asyncpg
from fastapi import FastAPI, Request, Response

SECRET = Path(os.environ["SECRET_FILE"]).read_bytes().strip()
EVENT = "INSERT INTO webhook_events (event_id, event_type) VALUES ($1, $2) ON CONFLICT (event_id) DO NOTHING RETURNING 1"
ORDER = """INSERT INTO orders (order_number, status, updated_at) VALUES ($1, $2, $3)
    ON CONFLICT (order_number) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at"""
BOX = """INSERT INTO boxes (tracking_number, order_number, status, location, updated_at) VALUES ($1, $1, $2, $3, $4)
    ON CONFLICT (tracking_number) DO UPDATE SET status = excluded.status, location = excluded.location, updated_at = excluded.updated_at"""
HISTORY = "INSERT INTO tracking_history (tracking_number, occurred_at, status, location) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"

app = FastAPI()


@app.on_event("startup")
async def connect() -> None:
    app.state.pool = await asyncpg.create_pool(**json.loads(os.environ["PEER_DSN"]), min_size=1, max_size=int(os.environ["POOL"]))


@app.on_event("shutdown")
async def disconnect() -> None:
    await app.state.pool.close()


@app.post("/webhooks/crossborderly")
async def webhook(request: Request) -> Response:
    body = await request.body()
    expected = "sha256=" + hmac.digest(SECRET, body, hashlib.sha256).hex()
    if not hmac.compare_digest(expected, request.headers.get("x-crossborderly-signature", "")):
        return Response("Invalid signature", status_code=401)
    event = json.loads(body)
    data = event["data"]
    number, status, location = data["trackingNumber"], data["newStatus"], data["location"]
    at = datetime.fromisoformat(data["timestamp"].replace("Z", "+00:00"))
    async with app.state.pool.acquire() as connection, connection.transaction():
        if await connection.fetchval(EVENT, event["id"], event["event"]):
            await connection.execute(ORDER, number, status, at)
            await connection.execute(BOX, number, status, location, at)
            await connection.execute(HISTORY, number, at, status, location)
    return Response('{"received":true}', media_type="application/json")


@app.get("/livez")
async def livez() -> Response:
    return Response("alive")
