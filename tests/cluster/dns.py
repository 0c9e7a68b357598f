"""Names of Services for the pods of the node: a DNS server that knows `service.namespace.svc` and nothing else."""

from __future__ import annotations

import socket
import struct
import threading

from tests.cluster.api import Api, RefusedError

NO_ERROR, NO_SUCH_NAME = 0x8180, 0x8183
"""Flags of an answer: it is one, recursion available; the last digit is the result."""


class Dns:
    """Answers A queries over UDP; every other name does not exist."""

    def __init__(self, address: str, api: Api) -> None:
        self._api = api
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, name="dns", daemon=True).start()

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(query), client)
            except OSError:
                return  # closed

    def _answer(self, query: bytes) -> bytes:
        labels, end = [], 12
        while query[end]:
            labels.append(query[end + 1 : end + 1 + query[end]].decode())
            end += 1 + query[end]
        question = query[12 : end + 5]
        address = self._address(labels)
        found = address if question[-4:-2] == b"\0\1" else None
        flags = NO_ERROR if address else NO_SUCH_NAME
        header = query[:2] + struct.pack(">5H", flags, 1, int(found is not None), 0, 0)
        record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 5, 4) + socket.inet_aton(found) if found else b""
        return header + question + record

    def _address(self, labels: list[str]) -> str | None:
        if labels[2:] not in (["svc"], ["svc", "cluster", "local"]):
            return None
        try:
            service = self._api.get(f"/api/v1/namespaces/{labels[1]}/services/{labels[0]}")
        except (RefusedError, OSError):
            return None
        address: str = service["spec"]["clusterIP"]
        return address
