# shellcheck shell=bash
# The control plane of the lab: API and assembler, each with its own database role.
#
# Tenants' listener on 127.0.0.1, operators' too, samplers' on the lab's management network. Programs are in BIN.

# Set API_PORT and OPS_PORT: the slot's own numbers, or the next ones that are free.
control_ports() {
	API_PORT=$(control_free_port $((18000 + $1)))
	OPS_PORT=$(control_free_port $((18500 + $1)))
}

# Print the first of $1, $1 + 1000, ... to which nobody listens on 127.0.0.1.
control_free_port() {
	local port=$1
	while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		((port += 1000))
		((port < 32768)) || die "no free port found from $1 on"
	done
	printf '%s\n' "$port"
}

# Start the API with the samplers' listener on address $1, and wait until it is ready.
control_start_api() {
	secret_get signing >/dev/null
	EDGECAP_LISTEN=127.0.0.1:$API_PORT EDGECAP_OPS_LISTEN=127.0.0.1:$OPS_PORT \
		EDGECAP_EDGE_LISTEN=$1:$EDGE_PORT EDGECAP_UPLOAD_URL=http://$1:$EDGE_PORT \
		EDGECAP_DATABASE_URL=$(database_url edgecap_api) EDGECAP_STORAGE=file://$RUN/store \
		EDGECAP_SIGNING_SECRET_FILE=$RUN/secret/signing \
		process_start api "$BIN/edgecap-api"
	process_await api 150 curl --silent --fail --max-time 2 "http://127.0.0.1:$OPS_PORT/readyz"
}

# Start the assembler.
control_start_assembler() {
	EDGECAP_DATABASE_URL=$(database_url edgecap_assembler) EDGECAP_STORAGE=file://$RUN/store \
		process_start assembler "$BIN/edgecap-assembler"
}
