# shellcheck shell=bash
# The whole lab of a clone: up, down, is it running. TOP is the clone, RUN its state, BIN its programs.
# shellcheck disable=SC2153

readonly LAB_EDGES=3

# Bring everything up, on S3 when $2 is "s3"; traffic ends by itself after $1 seconds. The caller's EXIT trap takes away what is half done.
lab_up() {
	lab_down 0 quiet # what a killed one left
	state_create "$TOP"
	printf '%s %s\n' $$ "$(process_start_time $$)" >"$RUN/holder"
	lab_build "${2-}"
	say "starting PostgreSQL"
	database_create
	database_start
	lab_network
	if [[ ${2-} == s3 ]]; then
		say "starting S3: a Ceph monitor, OSD and gateway"
		s3_start "$API"
	fi
	say "applying migrations, making accounts"
	database_prepare "$BIN"
	tenant_create "$(lab_prefixes)"
	say "starting the API and the assembler"
	control_ports "$SLOT"
	control_start_api "$API"
	control_start_assembler
	lab_edges "$1"
	tenant_environment # the last: a lab with it is whole
}

# Install packages and build, each only as far as needed. $1: "s3" when that is wanted.
lab_build() {
	local lists=("$TOP/deploy/packages")
	[[ $1 != s3 ]] || lists+=("$TOP/deploy/packages-s3")
	say "installing packages"
	process_step packages "$TOP/deploy/install-packages" "${lists[@]}" ||
		{ tail -n 20 "$RUN/log/packages.log" >&2 && die "packages could not be installed"; }
	say "building (release)"
	# shellcheck disable=SC2016
	process_step build bash -euc 'cd "$1"; cmake --preset release; cmake --build --preset release' \
		build "$TOP" || { tail -n 20 "$RUN/log/build.log" >&2 && die "the build failed, see $RUN/log/build.log"; }
}

# Make the network; API and EDGE_PORT are where samplers find the API. Without namespaces everything is on lo.
lab_network() {
	slot_take "$RUN"
	if network_permitted "$SLOT"; then
		say "making network namespaces ec$SLOT-*"
		network_create "$SLOT" "$LAB_EDGES"
		API=100.127.$SLOT.1 EDGE_PORT=8081
		echo namespaces >"$RUN/mode"
	else
		slot_release "$RUN"
		warn "network namespaces are not permitted here: one edge host that samples on lo instead"
		# shellcheck disable=SC2034
		SLOT=0 API=127.0.0.1 EDGE_PORT=$(control_free_port 19000)
		echo loopback >"$RUN/mode"
	fi
}

# True when the lab has no namespaces of its own.
lab_loopback() {
	[[ -f $RUN/mode && $(<"$RUN/mode") == loopback ]]
}

# The first account's prefixes, and the source and destination of the documented job.
lab_prefixes() { if lab_loopback; then echo 127.5.6.0/24; else echo "$TENANT_PREFIXES"; fi; }
lab_source() { if lab_loopback; then echo 127.1.2.3; else echo 1.2.3.4; fi; }
lab_destination() { if lab_loopback; then echo 127.5.6.7; else echo 5.6.7.8; fi; }

# Start samplers, services and traffic ($1 seconds of it), and wait until the API has heard of every sampler.
lab_edges() {
	local i edges=$LAB_EDGES dir=$TOP/deploy/lab
	local -a address=("${NETWORK_EDGE_ADDRESSES[@]}") links=()
	! network_ipv6 || address+=("$NETWORK_EDGE_ADDRESS6")
	say "starting edge hosts and traffic"
	if lab_loopback; then
		edges=1
		edge_register 1
		edge_start_sampler 1 lo "$API"
		process_start service-1 "$dir/service" "edge-1 ${EDGE_COLOS[0]}" 127.5.6.7 --seconds "$1"
		process_start traffic "$dir/traffic" --loopback lo --seconds "$1"
	else
		for ((i = 1; i <= edges; i++)); do
			edge_register "$i"
			edge_start_sampler "$i" up0 "$API" ip netns exec "ec$SLOT-e$i"
			process_start "service-$i" ip netns exec "ec$SLOT-e$i" "$dir/service" \
				"edge-$i ${EDGE_COLOS[i - 1]}" "${address[@]}" --seconds "$1"
			links+=("e$i")
		done
		process_start traffic ip netns exec "ec$SLOT-src" "$dir/traffic" "${links[@]}" --seconds "$1"
	fi
	process_await "edge-$edges" 150 edge_connected "$edges"
}

# Stop what is running and remove what was made. $1: the run's outcome; the logs stay when it was not 0 and
# nobody interrupted it.
lab_down() {
	local name keep=all
	for name in $(process_names); do
		[[ $name == database || $name == s3-* ]] || process_signal "$name" TERM
	done
	for name in $(process_names); do
		[[ $name == database || $name == s3-* ]] || process_stop "$name" TERM 50
	done
	s3_stop
	process_stop database QUIT 50
	slot_release "$RUN"
	if [[ $1 != 0 && $1 != 129 && $1 != 130 && $1 != 143 ]]; then
		keep=log
		warn "the logs are in $RUN/log"
	fi
	state_remove "$TOP" "$keep"
}

# True when every process of the lab runs.
lab_running() {
	local name names
	[[ -f $RUN/env ]] || return 1
	names=$(process_names)
	[[ -n $names ]] || return 1
	for name in $names; do
		process_pid "$name" >/dev/null || return 1
	done
}

# Tell what runs. Returns 0 when all of it does.
lab_status() {
	local name pid
	for name in $(process_names); do
		if pid=$(process_pid "$name"); then
			printf '%-12s running  pid %s\n' "$name" "$pid"
		else
			printf '%-12s not running\n' "$name"
		fi
	done
	if lab_running; then
		echo "up: .run/env"
	else
		echo "not up"
		return 1
	fi
}
