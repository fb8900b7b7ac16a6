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

# Set STORAGE: the words that start a program with the lab's storage, S3 or the directory $RUN/store.
control_storage() {
	if s3_present; then
		STORAGE=(env "EDGECAP_STORAGE=$(s3_url)" "EDGECAP_S3_ACCESS_KEY_ID=$(secret_get s3-access-key)"
			"EDGECAP_S3_SECRET_ACCESS_KEY_FILE=$RUN/secret/s3-secret-key"
			"EDGECAP_BUCKETS_FILE=$RUN/s3/buckets.json" "EDGECAP_BUCKET_SECRET_FILE=$RUN/secret/bucket")
	else
		(umask 077 && mkdir -p "$RUN/store")
		STORAGE=(env "EDGECAP_STORAGE=file://$RUN/store")
	fi
}

# Start the API with the samplers' listener on address $1, and wait until it is ready.
control_start_api() {
	control_storage
	if s3_present; then # samplers upload to the bucket
		STORAGE+=("EDGECAP_S3_UPLOAD_ACCESS_KEY_ID=$(secret_get s3-upload-access-key)"
			"EDGECAP_S3_UPLOAD_SECRET_ACCESS_KEY_FILE=$RUN/secret/s3-upload-secret-key")
	else
		secret_get signing >/dev/null
		STORAGE+=("EDGECAP_UPLOAD_URL=http://$1:$EDGE_PORT" "EDGECAP_SIGNING_SECRET_FILE=$RUN/secret/signing")
	fi
	EDGECAP_LISTEN=127.0.0.1:$API_PORT EDGECAP_OPS_LISTEN=127.0.0.1:$OPS_PORT \
		EDGECAP_EDGE_LISTEN=$1:$EDGE_PORT EDGECAP_DATABASE_URL=$(database_url edgecap_api) \
		process_start api "${STORAGE[@]}" "$BIN/edgecap-api"
	process_await api 150 curl --silent --fail --max-time 2 "http://127.0.0.1:$OPS_PORT/readyz"
}

# Start the assembler.
control_start_assembler() {
	control_storage
	EDGECAP_DATABASE_URL=$(database_url edgecap_assembler) \
		process_start assembler "${STORAGE[@]}" "$BIN/edgecap-assembler"
}
