"""Links, addresses, firewall, published ports and names.

Speaks netlink itself (docs/decisions/0010-netlink-encoded-by-hand.md): :mod:`.netlink` frames and
acknowledges, :mod:`.links` is rtnetlink, :mod:`.nftables` is the rule language; policy is above them.
"""
