# shellcheck shell=bash
# Slots: numbers 1..254 that keep the labs of one machine apart.
#
# A slot gives a lab its namespaces' names (ec<slot>-...), its management network 100.127.<slot>.0/24 and its first
# choice of ports. /run/edgecap/slot/<number> holds the owner's state directory. It comes into being whole, by link(2), so two
# labs cannot take the same one, and what a killed lab left is found by its owner's path.

readonly SLOT_DIR=/run/edgecap/slot
readonly SLOT_MAX=254

# Take a free slot for owner $1 and set SLOT. Slots whose owner is gone from the disk are cleared and reused.
slot_take() {
	local owner=$1 slot
	local claim=$SLOT_DIR/.claim.$$.$RANDOM
	for ((slot = 1; slot <= SLOT_MAX; slot++)); do
		if [[ -e $SLOT_DIR/$slot && ! -d $(slot_owner "$slot") ]]; then
			network_remove "$slot"
			rm -f -- "$SLOT_DIR/$slot"
		fi
		# The link too: a container may share our network and not our /run.
		[[ ! -e $SLOT_DIR/$slot && ! -e /run/netns/ec$slot-mgmt && ! -e /sys/class/net/ec$slot ]] || continue
		mkdir -p "$SLOT_DIR"
		printf '%s\n' "$owner" >"$claim"
		if ln "$claim" "$SLOT_DIR/$slot" 2>/dev/null; then
			rm -f -- "$claim"
			# shellcheck disable=SC2034
			SLOT=$slot
			return 0
		fi
		rm -f -- "$claim"
	done
	die "no free slot: $SLOT_MAX labs are running (see $SLOT_DIR)"
}

# Print the owner of slot $1; nothing when it is free.
slot_owner() {
	cat "$SLOT_DIR/$1" 2>/dev/null || true
}

# Print the slots of owner $1, one per line.
slot_list() {
	local file
	for file in "$SLOT_DIR"/*; do
		[[ -f $file && $(<"$file") == "$1" ]] && printf '%s\n' "${file##*/}"
	done 2>/dev/null
	return 0
}

# Remove the networks of all slots of owner $1, and give the slots back.
slot_release() {
	local slot
	for slot in $(slot_list "$1"); do
		network_remove "$slot"
		rm -f -- "$SLOT_DIR/$slot"
	done
	[[ -d $SLOT_DIR && -z $(find "$SLOT_DIR" -name '[0-9]*') ]] || return 0
	network_unmount
	rmdir "$SLOT_DIR" "${SLOT_DIR%/*}" 2>/dev/null || true
}
