# shellcheck shell=bash
# Edge hosts of the lab: a sampler each, and the services behind them.

readonly EDGE_COLOS=(ord01 ord02 ams01)

# Register sampler edge-$1 and keep its token as a secret.
edge_register() {
	tenant_admin sampler create --name "edge-$1" --colo "${EDGE_COLOS[$1 - 1]}" |
		jq -er .token >"$RUN/secret/edge-$1"
}

# Start sampler edge-$1 on interface $2, which finds the API at address $3 and EDGE_PORT. $4...: words that
# put a command into the host's namespace; none for this one.
edge_start_sampler() {
	local i=$1 interface=$2 api=$3
	shift 3
	EDGECAP_EDGE_URL=http://$api:$EDGE_PORT EDGECAP_PLAINTEXT=yes EDGECAP_SAMPLER_TOKEN_FILE=$RUN/secret/edge-$i \
		EDGECAP_INTERFACES=$interface EDGECAP_SPOOL_DIR=$RUN/spool/edge-$i EDGECAP_HOST=edge-$i \
		process_start "edge-$i" "$@" "$BIN/edgecap-sampler"
}

# True when the API has heard of $1 samplers.
edge_connected() {
	(($(tenant_admin sampler list | jq '[.[] | select(.last_seen)] | length') == $1))
}
