# shellcheck shell=bash
# What a tenant does, every command shown with its real output.

readonly DEMO_POLL_S=120

# shellcheck disable=SC2016
readonly DEMO_WHO='-H "X-Auth-Email: $EDGECAP_EMAIL" -H "X-Auth-Key: $EDGECAP_KEY"'
# shellcheck disable=SC2016
readonly DEMO_JOBS='$EDGECAP_URL/accounts/$EDGECAP_ACCOUNT/pcaps'

# Submit the documented job, from address $1 to $2, follow it, download the files and look at them.
demo_run() {
	local dir=$RUN/demo
	mkdir -p "$dir"
	set -a
	# shellcheck disable=SC1091
	. "$RUN/env"
	set +a
	demo_submit "$dir" "$1" "$2"
	ID=$(jq -er .result.id "$dir/answer")
	export ID
	printf '(ID=%s, the "id" of the answer)\n' "$ID"
	demo_follow "$dir"
	(cd "$dir" && demo_look "$1" "$2")
	! s3_present || demo_full "$dir" "$2"
}

# On S3: prove that the bucket is ours, capture whole packets to address $2 into it, and look at what is there then.
demo_full() {
	local dir=$1 body proof
	say "a full capture, into the tenant's own bucket"
	demo_post "$dir" /ownership '{"destination_conf": "'"$EDGECAP_DESTINATION"'"}'
	proof=$(s3_get "demo/$(jq -er .result.filename "$dir/answer")")
	demo_post "$dir" /ownership/validate \
		'{"destination_conf": "'"$EDGECAP_DESTINATION"'", "ownership_challenge": "'"$proof"'"}'
	body='{"filter_v1": {"destination_address": "'$2'"}, "time_limit": 3, "colo_name": "ORD", "type": "full", "system": "magic-transit", "destination_conf": "'"$EDGECAP_DESTINATION"'"}'
	demo_post "$dir" '' "$body"
	ID=$(jq -er .result.id "$dir/answer")
	demo_follow "$dir"
	say "what the bucket has: demo/pcap_$ID.pcap and its manifest"
	s3_get "demo/pcap_$ID.pcap" >"$dir/full.pcap"
	s3_get "demo/pcap_$ID.json" >"$dir/full.json"
	(cd "$dir" && show "tcpdump -n -c 4 -r full.pcap 2>/dev/null" && show "jq -c '.file, .hosts[]' full.json")
}

# POST $3 to the path $2 of the account's captures; the answer is in $1/answer, and printed.
demo_post() {
	local command="curl -sS -X POST $DEMO_JOBS$2 -H 'Content-Type: application/json' $DEMO_WHO --data '$3'"
	printf '\n$ %s\n' "$command"
	eval "$command" >"$1/answer"
	demo_print <"$1/answer"
	jq -e .success "$1/answer" >/dev/null || die "the API refused that"
}

# POST the job; when the collect interval of the last one is not over, wait as long as the answer says.
demo_submit() {
	local dir=$1 body code command
	body='{"filter_v1": {"source_address": "'$2'", "source_port": 123, "destination_address": "'$3'", "destination_port": 80, "protocol": 6}, "time_limit": 300, "packet_limit": 10000, "type": "simple", "system": "magic-transit"}'
	command="curl -sS -X POST $DEMO_JOBS -H 'Content-Type: application/json' $DEMO_WHO --data '$body'"
	while :; do
		printf '\n$ %s\n' "$command"
		code=$(eval "$command -o '$dir/answer' -w '%{http_code} %header{retry-after}'")
		demo_print <"$dir/answer"
		[[ ${code% *} == 429 ]] || break
		say "answer 429: the collect interval of this account; waiting ${code#* } s"
		sleep "${code#* }"
	done
	[[ ${code% *} == 200 ]] || die "the API answered $code"
}

# GET the job every second until it has ended.
demo_follow() {
	local dir=$1 command="curl -sS $DEMO_JOBS/\$ID $DEMO_WHO" line seconds=0
	printf '\n$ %s\n' "$command"
	while :; do
		eval "$command" >"$dir/answer"
		line=$(jq -er '.result | "\(.status) \(.packets_captured)"' "$dir/answer")
		[[ $line != success* && $line != failed* ]] || break
		printf '  %s, %s packets captured so far\n' "${line% *}" "${line#* }"
		((seconds++ < DEMO_POLL_S)) || die "the job is still ${line% *} after $DEMO_POLL_S s"
		sleep 1
	done
	demo_print <"$dir/answer"
	[[ $line == success* ]] || die "the job ended: $line"
}

# Download both files and show what is in them.
demo_look() {
	local not
	show "curl -sS $DEMO_JOBS/\$ID/download $DEMO_WHO --output download.pcap"
	show "curl -sS \"$DEMO_JOBS/\$ID/download?format=pcapng\" $DEMO_WHO --output download.pcapng"
	show "tcpdump -n -c 8 -r download.pcap 2>/dev/null"
	not="not (src host $1 and src port 123 and dst host $2 and dst port 80 and tcp)"
	show "tcpdump -n -r download.pcap '$not' 2>/dev/null | wc -l   # packets that do not match the filter"
	show "$TOP/deploy/lab/figures download.pcapng"
}

# Print an answer from stdin with a member of the result on each line.
demo_print() {
	jq -r 'if (.result | type) == "object" then
			"{\"result\": {", ([.result | to_entries[] | "  \(.key | tojson): \(.value | tojson)"] | join(",\n")),
			"}, " + (del(.result) | tojson | .[1:])
		else tojson end'
}
