# shellcheck shell=bash
# S3 of the lab: a Ceph RGW of its own (deploy/lab/rgw), in memory, gone with the lab. $RUN/s3 is there when it has one.

readonly S3_BUCKET=edgecap
# the demonstration tenant's own, where its full captures go
readonly S3_TENANT_BUCKET=captures

# Start it with the gateway on address $1, make the buckets, keep their keys as secrets s3-access-key and s3-secret-key, and list
# it as the one place where tenants' buckets may be.
s3_start() {
	local dir=$RUN/s3 rgw=$TOP/deploy/lab/rgw
	(umask 077 && mkdir "$dir")
	process_step s3-make "$rgw" make "$dir" "$RUN/log" "$1" || s3_die
	process_start s3-monitor "$rgw" run "$dir" monitor
	process_step s3-make "$rgw" make-osd "$dir" || s3_die
	process_start s3-osd "$rgw" run "$dir" osd
	process_start s3-gateway "$rgw" run "$dir" gateway
	process_await s3-gateway 300 "$rgw" await "$dir"
	process_step s3-make "$rgw" bucket "$dir" "$S3_BUCKET" || s3_die
	mv "$dir/access-key" "$RUN/secret/s3-access-key"
	mv "$dir/secret-key" "$RUN/secret/s3-secret-key"
	mv "$dir/upload-access-key" "$RUN/secret/s3-upload-access-key"
	mv "$dir/upload-secret-key" "$RUN/secret/s3-upload-secret-key"
	process_step s3-make "$TOP/deploy/lab/s3" "$(<"$dir/endpoint")" "$RUN/secret/s3-access-key" \
		"$RUN/secret/s3-secret-key" make "$S3_TENANT_BUCKET" || s3_die
	jq -n --arg endpoint "$(<"$dir/endpoint")" --arg key "$(secret_get s3-access-key)" \
		--arg secret "$RUN/secret/s3-secret-key" '[{scheme: "s3", endpoint: $endpoint, access_key_id: $key,
			secret_access_key_file: $secret, private: true, plaintext: true}]' >"$dir/buckets.json"
	secret_get bucket >/dev/null
}

# Print the object $1 of the demonstration's bucket, as its owner gets it with any S3 client.
s3_get() {
	"$TOP/deploy/lab/s3" "$(<"$RUN/s3/endpoint")" "$RUN/secret/s3-access-key" "$RUN/secret/s3-secret-key" \
		get "$S3_TENANT_BUCKET" "$1"
}

# Say that it cannot be made, and end.
s3_die() {
	tail -n 20 "$RUN/log/s3-make.log" >&2
	die "Ceph cannot be started, see $RUN/log"
}

# True when the lab has it.
s3_present() {
	[[ -d $RUN/s3 ]]
}

# Print the URL of the bucket, as EDGECAP_STORAGE takes it.
s3_url() {
	printf 's3://%s?endpoint=%s&plaintext=yes&style=path\n' "$S3_BUCKET" "$(<"$RUN/s3/endpoint")"
}

# Print where the demonstration's full captures go, as destination_conf takes it.
s3_destination() {
	printf 's3://%s/demo?region=us-east-1&endpoint=%s\n' "$S3_TENANT_BUCKET" "$(<"$RUN/s3/endpoint")"
}

# End it, when nobody uses it any more. Its daemons have nothing to save, and the gateway waits for a dead OSD.
s3_stop() {
	local name
	for name in $(process_names); do
		[[ $name != s3-* ]] || process_stop "$name" KILL 50
	done
}
