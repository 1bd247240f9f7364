#!/usr/bin/env bash
# Runs a command in this network namespace, which has to be a fresh one, once there are a loopback and a way out of it
# that leads nowhere: `out` has an address and the default route, and counts every packet that is sent to the world.
set -euo pipefail

ip link set lo up
if ip link add out type veth peer name nowhere 2> /dev/null; then
    for name in out nowhere; do
        echo 1 > "/proc/sys/net/ipv6/conf/$name/disable_ipv6" # its own chatter would be counted
        ip link set "$name" up
    done
    ip address add 192.0.2.1/24 dev out
    ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev out
    ip route add default via 192.0.2.2
fi
exec "$@"
