"""streamnorm for MicroPython: numbered readings over a plain socket, which count once however often they are sent.

Only one program may write to a stream. An outbox begins with the number before its readings, [null]: not known yet.
"""

import json
import os
import socket
import time

EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0  # the clocks of many boards count from 2000
PASSING, INVALID, STALE = (408, 429, 502, 503, 504), (400, 413, 422), 409


class Problem(Exception):
    """The service refused a request; `args` are the status and the detail of its answer."""


class Stream:
    """A stream; `timeout` is in seconds, the file `outbox` has at most `most` bytes; https needs an ssl.SSLContext."""

    def __init__(self, url, stream, key=None, outbox="", context=None, timeout=10, attempts=3, most=65536):
        scheme, _, rest = url.partition("://")
        if scheme != ("https" if context else "http") or not rest:
            raise ValueError("url must be http://host:port, or https with a context, not " + url)
        self._host, _, path = rest.rstrip("/").partition("/")
        self._path = (path and "/" + path) + "/v1/streams/" + "".join("%%%02X" % byte for byte in stream.encode())
        self._key = "Authorization: Bearer %s\r\n" % key if key else ""
        self._timeout, self._attempts, self._most = timeout, attempts, most
        self._outbox, self._context, self._last = outbox, context, None  # _last: the last number; None: ask for it

    def observe(self, values, timestamp=None):
        """Return the answer, or None if the reading waits in the outbox; without an outbox, raise OSError.

        Raise Problem if the service refuses the reading; unless the reading itself is to blame, it waits.
        """
        reading = {"values": plain(values)} if timestamp is None else {"values": plain(values), "timestamp": timestamp}
        waiting = self._first()
        if waiting:
            self._keep(reading)
        try:
            return self.flush() if waiting else self._deliver(reading)
        except (OSError, Problem) as error:
            refused = error.args[0] if isinstance(error, Problem) else 0
            if self._outbox and not waiting and refused not in INVALID:
                self._keep(reading, None if refused == STALE else self._last)  # STALE: another program took the number
            if self._outbox and not refused:
                return None
            self._last = None if refused or self._last is None else self._last + 1  # the number may have been applied
            raise

    def flush(self):
        """Send what waits; return the answer of the last reading, None if it was not taken or nothing waits."""
        first, sent, answer = self._first(), 0, None
        if first is None:
            return None
        if first[0] is None:
            first = [self._request("GET").get("last_seq") or 0]
            self._cut(0, first[0])  # from here on, the numbers stand
        try:
            with open(self._outbox) as file:
                file.readline()
                for line in file:
                    self._last, answer, reading = first[0] + sent, None, parsed(line)
                    try:
                        answer = self._deliver(reading) if reading else None  # None: a reset cut the line off
                    except Problem as problem:
                        if problem.args[0] in INVALID:
                            print("streamnorm: dropped", reading, problem)
                        elif problem.args[0] != STALE:  # STALE: it was applied before a reset
                            raise
                    sent += 1
        finally:
            if sent:
                self._cut(sent, first[0])
        self._last = first[0] + sent
        return answer

    def _deliver(self, reading):
        if self._last is None:
            self._last = self._request("GET").get("last_seq") or 0
        answer = self._request("POST", "/readings", json.dumps(dict(reading, seq=self._last + 1)).encode())
        self._last += 1
        return answer

    def _request(self, method, path="", data=b""):
        for attempt in range(self._attempts):
            try:
                return self._exchange("%s %s HTTP/1.1\r\nHost: %s" % (method, self._path + path, self._host), data)
            except OSError as error:
                failure = error
                if attempt + 1 < self._attempts:
                    time.sleep(0.1 * 2**attempt)
        raise failure

    def _exchange(self, head, data):
        head += "\r\nConnection: close\r\nContent-Type: application/json\r\n" + self._key
        host, _, port = self._host.partition(":")
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port or (443 if self._context else 80)))[0]
        link = socket.socket(family, kind, protocol)
        try:
            link.settimeout(self._timeout)
            link.connect(address)
            link = self._context.wrap_socket(link, server_hostname=host) if self._context else link
            link.write((head + "Content-Length: %d\r\n\r\n" % len(data)).encode() + data)
            answer, _, body = link.read().partition(b"\r\n\r\n")
        finally:
            link.close()
        status, members = parsed((answer.split(None, 2) + [b"", b""])[1]), parsed(body)
        if not isinstance(status, int) or status in PASSING or not isinstance(members, dict):
            raise OSError("no answer of a streamnorm service: %s" % answer[:20])
        if status >= 400 and not (status == 404 and head.startswith("GET")):
            raise Problem(status, members.get("detail"))
        return members

    def _first(self):
        try:
            with open(self._outbox) as file:
                return parsed(file.readline()) or [None]
        except OSError:
            return None

    def _keep(self, reading, last=None):
        if "timestamp" not in reading and time.gmtime()[0] > 2023:  # else nothing has set the clock
            reading["timestamp"] = time.time() + EPOCH
        head = json.dumps([last]) if self._first() is None else ""
        with open(self._outbox, "a") as file:
            file.write(head + "\n" + json.dumps(reading))  # a line that a reset cuts off does not spoil the next
        if os.stat(self._outbox)[6] > self._most:
            self._cut(50, self._first()[0])  # the oldest

    def _cut(self, readings, first):
        with open(self._outbox) as old, open(self._outbox + ".new", "w") as new:
            new.write(json.dumps([None if first is None else first + readings]))
            rest = sum(new.write("\n" + line.rstrip()) for place, line in enumerate(old) if place > readings)
        os.rename(self._outbox + ".new", self._outbox) if rest else os.remove(self._outbox)


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def plain(value):
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value if value == value else None
