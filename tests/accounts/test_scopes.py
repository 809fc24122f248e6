"""What an API key is narrowed to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.accounts.scopes import KeyScopes, parse_network, read_scopes

ADDRESSES = st.ip_addresses()


@st.composite
def networks(draw: st.DrawFn) -> str:
    """A network in its canonical form."""
    address = draw(ADDRESSES)
    prefix = draw(st.integers(0, address.max_prefixlen))
    return str(ipaddress.ip_network((address, prefix), strict=False))


@given(st.lists(networks(), min_size=1, max_size=4), ADDRESSES)
def test_an_address_is_allowed_exactly_if_a_network_of_the_list_has_it(
    blocks: list[str], address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    scopes = read_scopes({}, blocks)
    v4 = getattr(address, "ipv4_mapped", None) or address
    assert scopes.allow_address(str(address)) == any(v4 in ipaddress.ip_network(block) for block in blocks)


@given(st.ip_addresses(v=4))
def test_an_ipv4_client_on_a_dual_stack_socket_is_the_same_client(address: ipaddress.IPv4Address) -> None:
    scopes = read_scopes({}, [f"{address}/32"])
    assert scopes.allow_address(f"::ffff:{address}")


@pytest.mark.parametrize("ip", ["", "unix:", "example.org", "1.2.3", "10.0.0.1, 10.0.0.2"])
def test_an_address_that_is_none_fits_no_list_and_no_list_fits_all(ip: str) -> None:
    assert not read_scopes({}, ["0.0.0.0/0", "::/0"]).allow_address(ip)
    assert KeyScopes().allow_address(ip)


def test_no_list_narrows_nothing_and_an_empty_list_allows_nothing() -> None:
    assert read_scopes({}, []).allow_route("chat")
    assert read_scopes({"models": []}, []).models == frozenset()
    assert not read_scopes({"routes": []}, []).allow_route("chat")


@given(networks())
def test_a_network_is_kept_in_one_form(block: str) -> None:
    network = ipaddress.ip_network(block)
    if network.version == 6 and network.network_address.ipv4_mapped is not None:
        with pytest.raises(ValueError, match="as IPv4"):
            parse_network(block)
    else:
        assert parse_network(f" {block} ") == block
