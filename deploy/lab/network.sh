# shellcheck shell=bash
# The lab's network: namespaces and veth pairs of one slot.
#
#   ec<s>-src   traffic source   e1 e2 e3   1.2.3.4 ...  2001:db8:1::4 ...        (addresses on lo)
#                                │  │  │
#   ec<s>-e<i>  edge host i      up0        5.6.7.8 ...  2001:db8:5678::8 ...     (the same on every edge: anycast)
#                                mgmt0      100.127.<s>.<10+i>
#   ec<s>-mgmt  bridge br0       e1 e2 e3
#   root        ec<s>            100.127.<s>.1: where the API listens for samplers
#
# Frames are as on a wire: no segmentation offload, real checksums, MTU 1500. MAC addresses are
# 02:00:00:00:<i>:01 (source) and 02:00:00:00:<i>:02 (edge) on the link of edge i.

readonly NETWORK_SOURCE_ADDRESSES=(1.2.3.4 1.2.3.5 1.2.3.6 1.2.3.7 198.51.100.7)
readonly NETWORK_EDGE_ADDRESSES=(5.6.7.8 5.6.7.9 198.51.100.8)
readonly NETWORK_SOURCE_ADDRESS6=2001:db8:1::4 NETWORK_EDGE_ADDRESS6=2001:db8:5678::8
readonly NETWORK_SOURCE_PREFIX6=2001:db8:1::/48 NETWORK_EDGE_PREFIX6=2001:db8:5678::/48

# True when network namespaces and links can be made here, and programs started in them; tried in slot $1.
network_permitted() {
	((EUID == 0)) || return 1
	network_mount_mark
	(
		set -e
		ip netns add "ec$1-try"
		ip -n "ec$1-try" link add try0 type veth peer name try1
		ip netns exec "ec$1-try" true
	) >/dev/null 2>&1 && ip netns del "ec$1-try"
}

# Remember that nothing was mounted on /run/netns before us, see network_unmount.
network_mount_mark() {
	mountpoint -q /run/netns || : >"$SLOT_DIR/.netns"
}

# True when the kernel speaks IPv6.
network_ipv6() {
	[[ -d /proc/sys/net/ipv6 ]]
}

# Make the network of slot $1 with $2 edges (1..9).
network_create() {
	local slot=$1 edges=$2 i
	network_mount_mark
	network_namespace "ec$slot-mgmt"
	network_namespace "ec$slot-src"
	ip -n "ec$slot-mgmt" -batch - <<-END
		link add br0 type bridge
		link set br0 up
	END
	ip -batch - <<-END
		link add ec$slot type veth peer name root netns ec$slot-mgmt
		addr add 100.127.$slot.1/24 dev ec$slot
		link set ec$slot up
	END
	ip -n "ec$slot-mgmt" link set root master br0 up
	for i in "${NETWORK_SOURCE_ADDRESSES[@]}"; do
		ip -n "ec$slot-src" addr add "$i/32" dev lo
	done
	! network_ipv6 || ip -n "ec$slot-src" addr add "$NETWORK_SOURCE_ADDRESS6/128" dev lo
	for ((i = 1; i <= edges; i++)); do
		network_edge "$slot" "$i"
	done
}

# Make namespace $1: no reverse path filter (the same address is on several links), no waiting for duplicate
# addresses, low ports for everybody.
network_namespace() {
	ip netns add "$1"
	# shellcheck disable=SC2016
	ip netns exec "$1" bash -c '
		cd /proc/sys/net
		for key in ipv4/conf/{all,default}/rp_filter ipv6/conf/{all,default}/accept_dad ipv4/ip_unprivileged_port_start; do
			[[ ! -e $key ]] || echo 0 >"$key"
		done'
	ip -n "$1" link set lo up
}

# Make edge host $2 of slot $1 and its two links.
network_edge() {
	local slot=$1 i=$2 address
	local ns=ec$slot-e$i src=ec$slot-src
	network_namespace "$ns"
	ip -batch - <<-END
		link add up0 netns $ns address 02:00:00:00:0$i:02 gso_max_segs 1 type veth peer name e$i netns $src address 02:00:00:00:0$i:01 gso_max_segs 1
		link add mgmt0 netns $ns type veth peer name e$i netns ec$slot-mgmt
	END
	ip -n "ec$slot-mgmt" link set "e$i" master br0 up
	network_offload_off "$ns" up0
	network_offload_off "$src" "e$i"
	network_side "$ns" up0 2 "$NETWORK_SOURCE_PREFIX6" fe80::1
	network_side "$src" "e$i" 1 "$NETWORK_EDGE_PREFIX6" fe80::2
	for address in "${NETWORK_EDGE_ADDRESSES[@]}"; do
		ip -n "$ns" addr add "$address/32" dev lo
	done
	ip -n "$ns" -batch - <<-END
		addr add 100.127.$slot.$((10 + i))/24 dev mgmt0
		link set mgmt0 up
		route add 1.2.3.0/24 dev up0
		route add 198.51.100.7/32 dev up0
	END
	# A metric each: sockets choose the link by SO_BINDTODEVICE.
	ip -n "$src" -batch - <<-END
		route add 5.6.7.0/24 dev e$i metric $i
		route add 198.51.100.8/32 dev e$i metric $i
	END
	! network_ipv6 || ip -n "$ns" addr add "$NETWORK_EDGE_ADDRESS6/128" dev lo
}

# One side of an uplink in namespace $1, link $2: fe80::$3, the way to prefix $4 by $5.
network_side() {
	local ns=$1 dev=$2
	ip -n "$ns" -batch - <<-END
		link set $dev addrgenmode none
		link set $dev up
	END
	network_ipv6 || return 0
	ip -n "$ns" -batch - <<-END
		addr add fe80::$3/64 dev $dev nodad
		route add $4 via $5 dev $dev metric $((10#${dev//[^0-9]/} + 100))
	END
}

# Frames of link $2 in namespace $1 are to be as on a wire.
network_offload_off() {
	ip netns exec "$1" ethtool -K "$2" tso off gso off gro off tx off >/dev/null
}

# Remove the network of slot $1 and end every process in its namespaces. Fine when it is not there, or half.
network_remove() {
	local slot=$1 ns pid
	for ns in $(network_namespaces "$slot"); do
		for pid in $(ip netns pids "$ns" 2>/dev/null); do
			kill -s KILL "$pid" 2>/dev/null || true
		done
		# A half-made namespace is a plain file, which ip does not remove.
		ip netns del "$ns" 2>/dev/null || rm -f -- "/run/netns/$ns"
	done
	ip link del "ec$slot" 2>/dev/null || true
}

# Print the namespaces of slot $1, one per line.
network_namespaces() {
	local file
	for file in /run/netns/"ec$1"-*; do
		[[ ! -e $file ]] || printf '%s\n' "${file##*/}"
	done
}

# When ip mounted /run/netns for a lab and nothing is in it any more, take it away again. The kernel refuses
# while a namespace is mounted below it.
network_unmount() {
	[[ -e $SLOT_DIR/.netns ]] || return 0
	! mountpoint -q /run/netns || umount /run/netns 2>/dev/null || return 0
	rmdir /run/netns 2>/dev/null || true
	rm -f -- "$SLOT_DIR/.netns"
}
