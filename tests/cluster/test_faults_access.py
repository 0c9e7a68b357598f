"""Who the exporter is, and whom it trusts, changes while it runs."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.api import RefusedError, wait_until
from tests.cluster.followed import Followed
from tests.cluster.scene import ACCOUNT, NAMES, NAMESPACE, RBAC, USER, Scene
from tests.kube.certificates import Authority, Pair, authority

pytestmark = pytest.mark.cluster
ISSUER = "https://kubernetes.default.svc"
LEEWAY = 60
"""Seconds past its expiry for which the API server takes a token (go-jose's default)."""


def short_token(scene: Scene, seconds: float) -> str:
    """A token of the exporter's account, signed by the API server's own key, that it takes for so long."""
    account = scene.api.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}")["metadata"]
    now = int(time.time())
    identity = {"namespace": NAMESPACE, "serviceaccount": {"name": ACCOUNT, "uid": account["uid"]}}
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": [ISSUER],
        "sub": USER,
        "jti": str(uuid4()),
        "kubernetes.io": identity,
    }
    claims |= {"iat": now - 600, "nbf": now - 600, "exp": int(now - LEEWAY + seconds)}
    signed = b".".join((encoded({"alg": "RS256", "typ": "JWT"}), encoded(claims)))
    command = ["openssl", "dgst", "-sha256", "-sign", str(scene.node.folder / "sa.key")]
    signature = subprocess.run(command, input=signed, check=True, capture_output=True).stdout
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def encoded(part: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


def is_refused(scene: Scene, token: str) -> bool:
    try:
        scene.as_exporter(token).get("/api/v1/pods", limit="1")
    except RefusedError as error:
        return error.status == 401
    return False


def test_tokens_that_expire_are_followed_by_those_that_lie_in_their_file(scene: Scene, folder: Path) -> None:
    """The second one is there before the first expires, the third only after the second has."""
    first, begun = short_token(scene, 12), time.monotonic()
    scene.token.write_text(first)
    with closing(scene.start_exporter(folder, name="tokens")) as exporter:
        followed = scene.follow(exporter)
        with followed.fleet.living(NAMES):
            second = short_token(scene, 20)
            scene.token.write_text(second)
            time.sleep(max(0.0, begun + 13 - time.monotonic()))  # asked about it earlier, the server would remember
            wait_until(lambda: is_refused(scene, first), "the first token has expired", 12)
            scene.proxy.cut("FIN")
            time.sleep(1)
            assert followed.told("watch_restarts_total", reason="unauthorized") == 0
            wait_until(lambda: is_refused(scene, second), "the second token has expired", 60)
            followed.is_told("watch_restarts_total", reason="unauthorized", resource="pods")
            followed.is_told("watch_restarts_total", reason="unauthorized", resource="events")
            assert exporter.readiness() == 200
            scene.token.write_text(scene.fresh_token())
            time.sleep(2)
        followed.without_loss()


def test_a_token_file_that_is_missing_or_empty_for_a_while_is_waited_for(followed: Followed, scene: Scene) -> None:
    good = scene.token.read_text()
    with followed.fleet.living(NAMES):
        scene.token.unlink()
        scene.proxy.cut("FIN")
        followed.is_told("watch_restarts_total", reason="unauthorized", resource="pods")
        scene.token.write_text("")
        time.sleep(3)
        scene.token.write_text(good)
        time.sleep(1)
    followed.without_loss()


def test_rights_that_are_taken_away_and_given_back_are_noticed(followed: Followed, scene: Scene) -> None:
    binding = f"/apis/{RBAC}/v1/clusterrolebindings/{ACCOUNT}"
    with followed.fleet.living(NAMES):
        scene.api.delete(binding)
        followed.is_told("watch_restarts_total", reason="forbidden", resource="pods")
        followed.is_told("watch_restarts_total", reason="forbidden", resource="events")
        assert followed.exporter.readiness() == 200
        scene.bind()
        time.sleep(2)
    followed.without_loss()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("first-ca"))


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("second-ca"))


def serve_as(scene: Scene, ca: Authority, pair: Pair) -> None:
    """Restart the API server with this certificate."""
    scene.node.ca = ca.certificate
    scene.node.api_flags = [f"--tls-cert-file={pair.certificate}", f"--tls-private-key-file={pair.key}"]
    scene.node.restart_api_server()


def test_a_new_certificate_of_the_same_ca_goes_unnoticed(
    scene: Scene, folder: Path, first: Authority, request: pytest.FixtureRequest
) -> None:
    serve_as(scene, first, first.sign("one", "DNS:localhost"))
    scene.trust()
    with closing(scene.start_exporter(folder, name=request.node.name)) as exporter:
        followed = scene.follow(exporter)
        with followed.fleet.living(NAMES):
            serve_as(scene, first, first.sign("two", "DNS:localhost"))
            time.sleep(1)
        followed.has_sums()
        followed.is_well()


def test_a_new_ca_is_trusted_when_its_file_is_replaced(
    scene: Scene, folder: Path, first: Authority, second: Authority, request: pytest.FixtureRequest
) -> None:
    serve_as(scene, first, first.sign("three", "DNS:localhost"))
    scene.trust()
    with closing(scene.start_exporter(folder, name=request.node.name)) as exporter:
        followed = scene.follow(exporter)
        with followed.fleet.living(NAMES):
            serve_as(scene, second, second.sign("four", "DNS:localhost"))
            followed.is_told("watch_restarts_total", reason="tls", resource="pods")
            assert "certificate verify failed" in exporter.log.read_text()
            assert followed.exporter.readiness() == 200
            scene.trust()
            time.sleep(2)
        followed.has_sums()
        followed.is_well()
