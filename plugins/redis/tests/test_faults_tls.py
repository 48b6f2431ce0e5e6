"""TLS: who is trusted, who is not, and what is told about it."""

from __future__ import annotations

import pytest
from redis_rig.backends import hasty, patient
from redis_rig.load import Load
from redis_rig.proxy import Proxy
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server
from redis_rig.tls import Authority

from fastadk_memory import BackendTimeoutError, BackendUnavailableError


@pytest.fixture(scope="module")
def server():
    with Server(password="a secret") as server:
        yield server


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


async def refused(memory) -> str:
    """Require that a call is refused for what it is; return what is told."""
    with pytest.raises(BackendUnavailableError) as raised:
        await memory.get("a")
    assert not isinstance(raised.value, BackendTimeoutError)
    assert "a secret" not in str(raised.value)
    assert await memory.health_check() is False
    await memory.aclose()
    return str(raised.value)


@in_a_loop
async def test_a_certificate_of_a_trusted_authority_is_good(server, authority) -> None:
    with Proxy(server, tls=authority.server_side()) as proxy:
        trust = {"tls_ca_file": str(authority.certificate)}
        async with patient(proxy.url, **trust) as memory, Load(memory) as load:
            await load.progress()
            proxy.reset()
            await load.progress()


@in_a_loop
async def test_a_certificate_of_nobody_is_refused(server, authority) -> None:
    with Proxy(server, tls=authority.server_side()) as proxy:
        assert "certificate" in await refused(hasty(proxy.url, timeout=30.0))


@in_a_loop
async def test_a_certificate_of_another_authority_is_refused(server, authority, tmp_path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    trusted = Authority(other).certificate
    with Proxy(server, tls=authority.server_side()) as proxy:
        memory = hasty(proxy.url, timeout=30.0, tls_ca_file=str(trusted))
        assert "certificate" in await refused(memory)


@in_a_loop
async def test_a_certificate_made_out_to_another_host_is_refused_unless_told(
    server, tmp_path
) -> None:
    authority = Authority(tmp_path, "elsewhere.example.com")
    trust = {"tls_ca_file": str(authority.certificate)}
    with Proxy(server, tls=authority.server_side()) as proxy:
        assert "certificate" in await refused(hasty(proxy.url, timeout=30.0, **trust))
        async with patient(proxy.url, tls_check_hostname=False, **trust) as memory:
            await memory.set("a", 1)
            assert await memory.get("a") == 1


@in_a_loop
async def test_a_server_that_asks_for_a_certificate_gets_ours(server, authority) -> None:
    trust = {"tls_ca_file": str(authority.certificate)}
    with Proxy(server, tls=authority.server_side(ask_client=True)) as proxy:
        async with patient(proxy.url, tls_cert_file=str(authority.client), **trust) as memory:
            await memory.set("a", 1)
            assert await memory.get("a") == 1
        memory = hasty(proxy.url, **trust)
        with pytest.raises(BackendUnavailableError):
            await memory.get("a")
        await memory.aclose()


@in_a_loop
async def test_tls_to_a_server_without_it_fails_in_time(server) -> None:
    memory = hasty(server.url.replace("redis://", "rediss://"))
    with pytest.raises(BackendUnavailableError):
        await memory.get("a")
    await memory.aclose()


@in_a_loop
async def test_no_tls_to_a_server_with_it_fails_in_time(server, authority) -> None:
    with Proxy(server, tls=authority.server_side()) as proxy:
        memory = hasty(proxy.url.replace("rediss://", "redis://"))
        with pytest.raises(BackendUnavailableError):
            await memory.get("a")
        await memory.aclose()
