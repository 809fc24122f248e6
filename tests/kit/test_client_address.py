"""The client's address: never one that a client made up."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepspace.kit.client_address import (
    TrustedProxies,
    address_of,
    client_address,
    network_of,
    networks_of,
)

PROXIES = networks_of("10.0.0.0/8, 192.168.1.1, fd00::/8")
OUTSIDE = "203.0.113.7"

addresses = st.ip_addresses().map(str)
outsiders = addresses.filter(lambda text: not any(address_of(text) in network for network in PROXIES))
proxies = st.sampled_from(["10.0.0.1", "10.255.0.9", "192.168.1.1", "fd00::5", "::ffff:10.1.2.3"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        (OUTSIDE, None, OUTSIDE),
        (OUTSIDE, "1.2.3.4", OUTSIDE),
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", OUTSIDE, OUTSIDE),
        ("10.0.0.1", f"1.2.3.4, {OUTSIDE}", OUTSIDE),
        ("10.0.0.1", f"1.2.3.4,{OUTSIDE}, 10.0.0.7", OUTSIDE),
        ("10.0.0.1", "10.0.0.9", "10.0.0.9"),
        ("10.0.0.1", f"{OUTSIDE}:51234", OUTSIDE),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("10.0.0.1", f"{OUTSIDE}, unknown", "10.0.0.1"),
        ("::ffff:10.0.0.1", OUTSIDE, OUTSIDE),
        ("10.0.0.1", f"::ffff:{OUTSIDE}", OUTSIDE),
        ("", OUTSIDE, ""),
    ],
)
def test_the_address_is_the_right_most_hop_that_is_no_proxy_of_ours(
    peer: str, forwarded: str | None, found: str
) -> None:
    assert client_address(peer, forwarded, PROXIES) == found


def test_nobody_is_believed_by_default() -> None:
    assert TrustedProxies().client("10.0.0.1", OUTSIDE) == "10.0.0.1"


@given(st.text(max_size=80), outsiders, st.lists(proxies, max_size=4), proxies)
def test_whatever_a_client_writes_to_the_left_changes_nothing(
    made_up: str, client: str, hops: list[str], peer: str
) -> None:
    forwarded = ", ".join([made_up, client, *hops])
    assert client_address(peer, forwarded, PROXIES) == str(address_of(client))


@given(st.text(max_size=40))
def test_no_text_makes_the_reader_stumble(text: str) -> None:
    found = address_of(text)
    assert found is None or ip_address(str(found)) == found
    client_address("10.0.0.1", text, PROXIES)


def test_mapped_addresses_and_networks_are_the_ipv4_they_stand_for() -> None:
    assert str(network_of("::ffff:10.0.0.0/104")) == "10.0.0.0/8"
    assert str(network_of("::ffff:10.0.0.1")) == "10.0.0.1/32"
    assert str(address_of("::ffff:1.2.3.4")) == "1.2.3.4"


@pytest.mark.parametrize("text", ["10.0.0.1/8", "nonsense", "10.0.0.0/33", "1.2.3"])
def test_a_network_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear|host bits"):
        networks_of(f"127.0.0.1,{text}")
